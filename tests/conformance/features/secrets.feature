Feature: Secrets
  What only a call may show, and nobody else may see.

  Background:
    Given the service "shop.example.com" answers:
      """yaml
      GET /bearer: { expects: { authorization: Bearer s3cret-token }, json: { ok: true } }
      GET /basic: { expects: { authorization: Basic YW5uOnMzY3JldA== }, json: { ok: true } }
      POST /echo: { echo: true }
      """
    And the secret "token" is "s3cret-token"
    And the secret "login" is "{"username":"ann","password":"s3cret"}"
    And the secret "bearer" is "{"token":"s3cret-token"}"

  @use.secrets @secrets
  Scenario: A secret in an authentication
    Given a workflow:
      """yaml
      use: { secrets: [token] }
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint: { uri: 'https://shop.example.com/bearer', authentication: { bearer: { token: '${ $secrets.token }' } } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """

  @authentication.basic.use @authentication.bearer.use
  Scenario Outline: A policy that is a secret
    Given a workflow:
      """yaml
      use: { secrets: [login, bearer] }
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint: { uri: 'https://shop.example.com/<path>', authentication: { <policy> } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """

    Examples:
      | path   | policy                  |
      | basic  | basic: { use: login }   |
      | bearer | bearer: { use: bearer } |

  @authentication.oauth2.use @authentication.oidc.use
  Scenario Outline: A policy of OAuth 2.0 or OpenID Connect that is a secret
    Given the service "login.example.com" answers:
      """yaml
      POST /oauth2/token: { json: { access_token: s3cret-token, token_type: Bearer } }
      GET /.well-known/openid-configuration:
        json: { issuer: 'https://login.example.com', token_endpoint: 'https://login.example.com/oauth2/token' }
      """
    And the secret "policy" is "{"authority":"https://login.example.com","grant":"client_credentials","client":{"id":"a","secret":"b"}}"
    And a workflow:
      """yaml
      use: { secrets: [policy] }
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint: { uri: 'https://shop.example.com/bearer', authentication: { <scheme>: { use: policy } } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """

    Examples:
      | scheme |
      | oauth2 |
      | oidc   |

  @secrets
  Scenario: What is made of a secret reaches the service, and nobody else
    Given a workflow:
      """yaml
      use: { secrets: [token] }
      do:
        - ask:
            input: { from: '{ key: ("key " + $secrets.token) }' }
            call: http
            with: { method: post, endpoint: 'https://shop.example.com/echo', headers: { x-key: '${ .key }' }, body: { a: 1 } }
            output: { as: .headers }
      """
    When the workflow is executed
    Then the workflow should complete
    And the service "shop.example.com" should have received:
      """yaml
      - headers: { x-key: key s3cret-token }
      """
    And nothing that the API says of the run should contain "s3cret-token"

  @use.secrets @secrets @negative
  Scenario: A secret that is not declared
    Given a workflow:
      """yaml
      do:
        - ask:
            set: { n: '${ $secrets.token }' }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "token"

  @use.secrets @secrets @negative
  Scenario: A secret that does not exist
    Given a workflow:
      """yaml
      use: { secrets: [nothing] }
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint: { uri: 'https://shop.example.com/bearer', authentication: { bearer: { token: '${ $secrets.nothing }' } } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/authorization
      status: 403
      """
