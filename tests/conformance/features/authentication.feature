Feature: Authentication
  How a call shows who makes it.

  Background:
    Given the service "shop.example.com" answers:
      """yaml
      GET /basic: { expects: { authorization: Basic YW5uOnNlY3JldA== }, json: { ok: true } }
      GET /bearer: { expects: { authorization: Bearer abc }, json: { ok: true } }
      """

  @authentication.basic
  Scenario: Basic
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://shop.example.com/basic
                authentication: { basic: { username: ann, password: '${ .password }' } }
      """
    And the workflow input is:
      """yaml
      password: secret
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """

  @authentication.bearer
  Scenario: Bearer
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: '${ "https://shop.example.com/bearer" }'
                authentication: { bearer: { token: '${ .token }' } }
      """
    And the workflow input is:
      """yaml
      token: abc
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """

  @authorization
  Scenario Outline: $authorization is what the call showed
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint: { uri: 'https://shop.example.com/<path>', authentication: { <policy> } }
            output: { as: '{ task: $authorization }' }
            export: { as: '{ exported: $authorization.scheme }' }
      output: { as: '. + $context' }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      task: { scheme: <scheme>, parameter: <parameter> }
      exported: <scheme>
      """

    Examples:
      | path   | policy                                      | scheme | parameter        |
      | basic  | basic: { username: ann, password: secret }  | Basic  | YW5uOnNlY3JldA== |
      | bearer | bearer: { token: abc }                      | Bearer | abc              |

  @authentication.use @use.authentications
  Scenario: By the name of a policy
    Given a workflow:
      """yaml
      use:
        authentications:
          shop: { bearer: { token: '${ .token }' } }
          other: { basic: { username: ann, password: secret } }
      do:
        - ask:
            call: http
            with: { method: get, endpoint: { uri: 'https://shop.example.com/bearer', authentication: { use: shop } } }
        - again:
            call: http
            with: { method: get, endpoint: { uri: 'https://shop.example.com/basic', authentication: { use: other } } }
      """
    And the workflow input is:
      """yaml
      token: abc
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """

  @authentication @negative
  Scenario: A service that does not know the caller
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://shop.example.com/bearer
                authentication: { bearer: { token: wrong } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      status: 401
      instance: /do/0/ask
      """

  @authentication.use @use.authentications @negative
  Scenario: By the name of a policy that does not exist
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint: { uri: 'https://shop.example.com/bearer', authentication: { use: shop } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "shop"

  @authentication.basic @negative
  Scenario: Basic without a password
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint: { uri: 'https://shop.example.com/basic', authentication: { basic: { username: ann } } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "password"

  @authentication @negative
  Scenario: Two schemes at once
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint: { uri: 'https://shop.example.com/basic', authentication: { basic: { use: a }, bearer: { token: b } } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "bearer"
