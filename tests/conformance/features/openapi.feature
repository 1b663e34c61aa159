Feature: OpenAPI calls
  Operations that a document describes. The document is fetched and fixed when the workflow is deployed.

  Background:
    Given the service "shop.example.com" answers:
      """yaml
      GET /openapi.json:
        json:
          openapi: 3.1.0
          info: { title: Shop, version: '1' }
          servers: [{ url: 'https://shop.example.com/v1' }]
          paths:
            /pets/{petId}:
              get:
                operationId: getPet
                parameters:
                  - { name: petId, in: path, required: true, schema: { type: integer } }
                  - { name: verbose, in: query, schema: { type: boolean } }
                  - { name: x-trace, in: header, schema: { type: string } }
                responses: { '200': { description: A pet } }
            /pets:
              post:
                operationId: addPet
                requestBody: { content: { application/json: { schema: { type: object } } } }
                responses: { '201': { description: Added } }
            /old: { get: { operationId: old, responses: { '301': { description: Moved } } } }
      GET /secured.json:
        expects: { authorization: Bearer document }
        json:
          openapi: 3.0.3
          info: { title: Secured, version: '1' }
          servers: [{ url: 'https://shop.example.com/v1' }]
          paths: { '/me': { get: { operationId: me, responses: { '200': { description: Me } } } } }
      GET /swagger.json: { json: { swagger: '2.0', info: { title: Old, version: '1' }, paths: {} } }
      GET /v1/pets/7: { json: { id: 7 } }
      POST /v1/pets: { status: 201, json: { added: true } }
      GET /v1/me: { expects: { authorization: Bearer abc }, json: { me: true } }
      GET /v1/old: { status: 301, headers: { location: 'https://shop.example.com/v1/pets/7' } }
      """

  @openapi.document @openapi.operationId @openapi.parameters
  Scenario: Parameters in path, query and header
    Given a workflow:
      """yaml
      do:
        - ask:
            call: openapi
            with:
              document: { name: shop, endpoint: 'https://shop.example.com/openapi.json' }
              operationId: getPet
              parameters: { petId: '${ .id }', verbose: true, x-trace: abc }
      """
    And the workflow input is:
      """yaml
      id: 7
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      id: 7
      """
    And the service "shop.example.com" should have received:
      """yaml
      - { path: /openapi.json }
      - { path: /v1/pets/7, query: { verbose: 'true' }, headers: { x-trace: abc } }
      """

  @openapi.output
  Scenario Outline: Every form of output
    Given a workflow:
      """yaml
      do:
        - ask:
            call: openapi
            with:
              document: { endpoint: { uri: 'https://shop.example.com/openapi.json' } }
              operationId: getPet
              parameters: { petId: 7 }
              output: <output>
      """
    When the workflow is executed
    Then the workflow should complete with output like:
      """yaml
      <is>
      """

    Examples:
      | output   | is                                  |
      | content  | { id: 7 }                           |
      | response | { statusCode: 200, content: { id: 7 } } |
      | raw      | eyJpZCI6N30=                        |

  @openapi.authentication
  Scenario: Authentication, of the document and of the call
    Given a workflow:
      """yaml
      use: { authentications: { shop: { bearer: { token: abc } } } }
      do:
        - ask:
            call: openapi
            with:
              document:
                endpoint: { uri: 'https://shop.example.com/secured.json', authentication: { bearer: { token: document } } }
              operationId: me
              authentication: { use: shop }
        - again:
            call: openapi
            with:
              document:
                endpoint: { uri: 'https://shop.example.com/secured.json', authentication: { bearer: { token: document } } }
              operationId: me
              authentication: { bearer: { token: abc } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      me: true
      """

  @openapi.redirect
  Scenario: A redirection that is wanted
    Given a workflow:
      """yaml
      do:
        - ask:
            call: openapi
            with: { document: { endpoint: 'https://shop.example.com/openapi.json' }, operationId: old, redirect: true }
      """
    When the workflow is executed
    Then the workflow should complete

  @openapi.redirect @negative
  Scenario: A redirection that is not wanted
    Given a workflow:
      """yaml
      do:
        - ask:
            call: openapi
            with: { document: { endpoint: 'https://shop.example.com/openapi.json' }, operationId: old, redirect: false }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
      status: 301
      """

  @openapi.operationId @negative
  Scenario: An operation that the document does not have
    Given a workflow:
      """yaml
      do:
        - ask:
            call: openapi
            with: { document: { endpoint: 'https://shop.example.com/openapi.json' }, operationId: getCat }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "getCat"

  @openapi.document @negative
  Scenario: A document that is not there
    Given a workflow:
      """yaml
      do:
        - ask:
            call: openapi
            with: { document: { endpoint: 'https://shop.example.com/nothing.json' }, operationId: getPet }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "nothing.json"

  @openapi.document @negative
  Scenario: A document of version 2.0 is left for later
    Given a workflow:
      """yaml
      do:
        - ask:
            call: openapi
            with: { document: { endpoint: 'https://shop.example.com/swagger.json' }, operationId: getPet }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "2.0"

  @openapi.parameters @negative
  Scenario: A parameter that the operation needs is missing
    Given a workflow:
      """yaml
      do:
        - ask:
            call: openapi
            with: { document: { endpoint: 'https://shop.example.com/openapi.json' }, operationId: getPet, parameters: '${ .none }' }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "parameters"

  @schema.resource @externalResource
  Scenario: A schema that is kept elsewhere
    Given the service "schemas.example.com" answers:
      """yaml
      GET /order.json: { json: { type: object, required: [id] } }
      """
    And a workflow:
      """yaml
      input:
        schema: { format: json, resource: { name: order, endpoint: { uri: 'https://schemas.example.com/order.json' } } }
      do:
        - say: { set: { id: '${ .id }' } }
      """
    And the workflow input is:
      """yaml
      id: 7
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      id: 7
      """

  @openapi.authentication @secrets
  Scenario: A document behind a secret
    Given the service "closed.example.com" answers:
      """yaml
      GET /openapi.json:
        expects: { authorization: Bearer s3cret-token }
        json:
          openapi: 3.1.0
          info: { title: Closed, version: '1' }
          servers: [{ url: / }]
          paths: { /pets: { get: { operationId: pets } } }
      GET /pets: { json: [dog] }
      """
    And the secret "shop" is "{"token":"s3cret-token"}"
    And a workflow:
      """yaml
      use: { secrets: [shop] }
      do:
        - ask:
            call: openapi
            with:
              document: { endpoint: { uri: 'https://closed.example.com/openapi.json', authentication: { bearer: { use: shop } } } }
              operationId: pets
        - again:
            call: openapi
            with:
              document:
                endpoint: { uri: 'https://closed.example.com/openapi.json', authentication: { bearer: { token: '${ $secrets.shop.token }' } } }
              operationId: pets
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [dog]
      """

  @openapi.authentication @negative
  Scenario: A document behind what only a run knows
    Given a workflow:
      """yaml
      do:
        - ask:
            call: openapi
            with:
              document: { endpoint: { uri: 'https://shop.example.com/secured.json', authentication: { bearer: { token: '${ $context.token }' } } } }
              operationId: me
      """
    When the workflow is deployed
    Then the definition should be refused at line 5 saying "nothing is known but secrets"

  @callTask.CallOpenAPI
  Scenario: A document that goes on in another one
    Given the service "split.example.com" answers:
      """yaml
      GET /api/openapi.json:
        json:
          openapi: 3.1.0
          info: { title: Split, version: '1' }
          servers: [{ url: /v1 }]
          paths: { /pets: { $ref: 'paths.json#/pets' } }
      GET /api/paths.json: { json: { pets: { get: { operationId: pets, parameters: [{ $ref: '#/size' }] } }, size: { name: size, in: query } } }
      GET /v1/pets: { json: [cat] }
      """
    And a workflow:
      """yaml
      do:
        - ask:
            call: openapi
            with: { document: { endpoint: 'https://split.example.com/api/openapi.json' }, operationId: pets, parameters: { size: 1 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [cat]
      """

  @callTask.CallOpenAPI
  Scenario: A body of several parts
    Given the service "photos.example.com" answers:
      """yaml
      GET /openapi.json:
        json:
          openapi: 3.1.0
          info: { title: Photos, version: '1' }
          servers: [{ url: / }]
          paths:
            /photos:
              post:
                operationId: upload
                requestBody:
                  content:
                    multipart/form-data:
                      schema: { properties: { caption: { type: string }, photo: { type: string, contentMediaType: image/png } } }
      POST /photos: { json: { ok: true } }
      """
    And a workflow:
      """yaml
      do:
        - send:
            call: openapi
            with:
              document: { endpoint: 'https://photos.example.com/openapi.json' }
              operationId: upload
              parameters: { caption: hello, photo: cGljdHVyZQ== }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """
    And the service "photos.example.com" should have received:
      """yaml
      - { path: /openapi.json }
      - path: /photos
        headers: { content-type: multipart/form-data; boundary=fc09f998676dffb199b8984a410322cf }
      """

  @schema.resource
  Scenario: A schema that is a part of a document
    Given the service "schemas.example.com" answers:
      """yaml
      GET /shop.json: { json: { $defs: { id: { type: integer }, order: { type: object, properties: { id: { $ref: '#/$defs/id' } } } } } }
      """
    And a workflow:
      """yaml
      input: { schema: { resource: { endpoint: { uri: 'https://schemas.example.com/shop.json#/$defs/order' } } } }
      do:
        - say: { set: { id: '${ .id }' } }
      """
    And the workflow input is:
      """yaml
      id: seven
      """
    When the workflow is executed
    Then the workflow should fault with a validation error at "/input"

  @schema.resource @negative
  Scenario: A part of a document that is not there
    Given the service "schemas.example.com" answers:
      """yaml
      GET /shop.json: { json: { $defs: {} } }
      """
    And a workflow:
      """yaml
      input: { schema: { resource: { endpoint: { uri: 'https://schemas.example.com/shop.json#/$defs/order' } } } }
      do:
        - say: { set: { id: '${ .id }' } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "nothing at that place"

  @schema.resource @negative
  Scenario: An input that does not fit a schema that is kept elsewhere
    Given the service "schemas.example.com" answers:
      """yaml
      GET /order.json: { json: { type: object, required: [id] } }
      """
    And a workflow:
      """yaml
      input: { schema: { resource: { endpoint: 'https://schemas.example.com/order.json' } } }
      do:
        - say: { set: { id: '${ .id }' } }
      """
    When the workflow is executed
    Then the workflow should fault with a validation error at "/input"

  @schema.resource @negative
  Scenario: A schema that is not where it should be
    Given the service "schemas.example.com" answers:
      """yaml
      GET /order.json: { status: 404 }
      """
    And a workflow:
      """yaml
      input: { schema: { resource: { endpoint: 'https://schemas.example.com/order.json' } } }
      do:
        - say: { set: { id: 1 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "order.json"

  @evaluate.mode
  Scenario: Loose evaluation takes any text for an expression, and for text what is none
    Given a workflow:
      """yaml
      evaluate: { mode: loose }
      do:
        - say: { set: { a: .n + 1, b: Hello there!, c: '${ .n }' } }
      """
    And the workflow input is:
      """yaml
      n: 2
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      a: 3
      b: Hello there!
      c: 2
      """

  @evaluate.mode @negative
  Scenario: A mode that the language does not have
    Given a workflow:
      """yaml
      evaluate: { mode: lax }
      do:
        - say: { set: { a: 1 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "lax"
