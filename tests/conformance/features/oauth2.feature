Feature: OAuth 2.0 and OpenID Connect
  Tokens are asked for, kept, and shown.

  Background:
    Given the service "login.example.com" answers:
      """yaml
      POST /realms/shop/oauth2/token: { json: { access_token: t1, token_type: Bearer, expires_in: 300 } }
      POST /realms/shop/own/token: { json: { access_token: t1, token_type: Bearer, expires_in: 300 } }
      POST /token: { json: { access_token: t1, token_type: Bearer, expires_in: 300 } }
      POST /broken/oauth2/token: { status: 400, json: { error: invalid_client } }
      GET /realms/shop/.well-known/openid-configuration:
        json: { issuer: 'https://login.example.com/realms/shop', token_endpoint: 'https://login.example.com/token' }
      """
    And the service "shop.example.com" answers:
      """yaml
      GET /orders: { expects: { authorization: Bearer t1 }, json: { ok: true } }
      """

  @oauth2.grant
  Scenario Outline: Every grant
    Given a workflow:
      """yaml
      use:
        authentications:
          shop:
            oauth2: { authority: 'https://login.example.com/realms/shop', client: { id: potok, secret: '${ .secret }' }, grant: <grant><more> }
      do:
        - ask: { call: http, with: { method: get, endpoint: { uri: 'https://shop.example.com/orders', authentication: { use: shop } } } }
        - again: { call: http, input: { from: $workflow.input }, with: { method: get, endpoint: { uri: 'https://shop.example.com/orders', authentication: { use: shop } } } }
      """
    And the workflow input is:
      """yaml
      secret: s3cret
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """
    And the service "login.example.com" should have received:
      """yaml
      - { method: POST, path: /realms/shop/oauth2/token, headers: { content-type: application/x-www-form-urlencoded }, form: { <form> } }
      """

    Examples:
      | grant              | more                                                                     | form                                                                    |
      | client_credentials |                                                                          | grant_type: client_credentials, client_id: potok, client_secret: s3cret |
      | client_credentials | , scopes: [a, b]                                                         | grant_type: client_credentials, scope: a b                              |
      | client_credentials | , audiences: [c]                                                         | grant_type: client_credentials, audience: c                             |
      | password           | , username: ann, password: pw                                            | grant_type: password, username: ann, password: pw                       |
      | refresh_token      | , subject: { token: r1, type: 'urn:ietf:params:oauth:token-type:refresh_token' } | grant_type: refresh_token, refresh_token: r1                      |

  @oauth2.endpoints @oauth2.request @oauth2.client
  Scenario: Endpoints, encoding and client authentication of one's own
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://shop.example.com/orders
                authentication:
                  oauth2:
                    authority: https://login.example.com/realms/shop
                    endpoints: { token: /own/token, revocation: /own/revoke, introspection: /own/introspect }
                    grant: client_credentials
                    client: { id: potok, secret: s3cret, authentication: client_secret_basic }
                    request: { encoding: application/json }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """
    And the service "login.example.com" should have received:
      """yaml
      - path: /realms/shop/own/token
        headers: { content-type: application/json, authorization: Basic cG90b2s6czNjcmV0 }
        body: { grant_type: client_credentials }
      """

  @oidc
  Scenario: OpenID Connect finds the endpoint by itself
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://shop.example.com/orders
                authentication:
                  oidc:
                    authority: https://login.example.com/realms/shop
                    grant: client_credentials
                    client: { id: potok, secret: s3cret, authentication: client_secret_post }
                    request: { encoding: application/x-www-form-urlencoded }
                    scopes: [orders]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """

  @oauth2 @negative
  Scenario: A server that gives no token
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://shop.example.com/orders
                authentication:
                  oauth2:
                    authority: https://login.example.com/broken
                    grant: client_credentials
                    client: { id: potok, secret: wrong }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/authentication
      status: 401
      instance: /do/0/ask
      """

  @oauth2.issuers @negative
  Scenario: A token of another issuer
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://shop.example.com/orders
                authentication:
                  oauth2:
                    authority: https://login.example.com/realms/shop
                    grant: client_credentials
                    client: { id: potok, secret: s3cret }
                    issuers: ['https://login.example.com/realms/shop']
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/authentication
      """

  @oauth2.grant @negative
  Scenario Outline: What is left for later is refused by its name
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://shop.example.com/orders
                authentication:
                  <policy>
      """
    When the workflow is deployed
    Then the definition should be refused at line 9 saying "<name>"

    Examples:
      | policy                                                                                                            | name               |
      | digest: { username: a, password: b }                                                                              | digest             |
      | oauth2: { authority: 'https://login.example.com', grant: authorization_code, client: { id: a } }                  | authorization_code |
      | oauth2: { authority: 'https://login.example.com', grant: 'urn:ietf:params:oauth:grant-type:token-exchange', client: { id: a } } | token-exchange |
      | oauth2: { authority: 'https://login.example.com', grant: client_credentials, client: { id: a, authentication: private_key_jwt, assertion: b } } | private_key_jwt |

  @oauth2.grant @negative
  Scenario: A grant that the language does not have
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: get
              endpoint:
                uri: https://shop.example.com/orders
                authentication:
                  oauth2: { authority: 'https://login.example.com', grant: implicit, client: { id: a } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 9 saying "implicit"
