Feature: HTTP calls
  Requests to services, and what comes of their answers.

  Background:
    Given the service "shop.example.com" answers:
      """yaml
      GET /pets/1: { headers: { x-kind: dog }, json: { id: 1, name: milou } }
      GET /text: { headers: { content-type: text/plain }, text: plain }
      GET /bytes: { headers: { content-type: application/octet-stream }, base64: AAEC }
      GET /empty: { status: 204 }
      GET /old: { status: 301, headers: { location: 'https://shop.example.com/pets/1' } }
      GET /loop: { status: 302, headers: { location: 'https://shop.example.com/loop' } }
      GET /missing: { status: 404, json: { why: gone } }
      GET /broken: { status: 500 }
      '* /echo': { echo: true }
      GET /v/a%20b%2Fc: { json: { path: encoded } }
      GET /v/: { json: { path: empty } }
      GET /v/true/7: { json: { path: typed } }
      """

  @http.method @http.endpoint
  Scenario Outline: Every method
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: <method>, endpoint: 'https://shop.example.com/echo', output: response } }
      output: { as: .statusCode }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      200
      """
    And the service "shop.example.com" should have received:
      """yaml
      - { method: <sent>, path: /echo }
      """

    Examples:
      | method  | sent    |
      | get     | GET     |
      | POST    | POST    |
      | put     | PUT     |
      | patch   | PATCH   |
      | delete  | DELETE  |
      | options | OPTIONS |
      | head    | HEAD    |

  @http.method @negative
  Scenario: A call without a method
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with: { endpoint: 'https://shop.example.com/echo' }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "method"

  @http.body @http.headers @http.query
  Scenario: A request with all that it may have
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: post
              endpoint: { uri: 'https://shop.example.com/echo' }
              headers: { x-plain: text, x-computed: '${ .name | ascii_upcase }' }
              query: { plain: text, computed: '${ .name }' }
              body: { name: '${ .name }', list: [1, '${ .n }'], literal: .name }
      """
    And the workflow input is:
      """yaml
      name: milou
      n: 2
      """
    When the workflow is executed
    Then the workflow should complete
    And the service "shop.example.com" should have received:
      """yaml
      - headers: { x-plain: text, x-computed: MILOU, content-type: application/json }
        query: { plain: text, computed: milou }
        body: { name: milou, list: [1, 2], literal: .name }
      """

  @http.headers @http.query @http.body
  Scenario: Headers, parameters and body that are expressions as a whole
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with:
              method: post
              endpoint: '${ "https://shop.example.com/" + .path }'
              headers: '${ .headers }'
              query: '${ { q: .q } }'
              body: '${ .q }'
      """
    And the workflow input is:
      """yaml
      path: echo
      headers: { x-a: b }
      q: 1
      """
    When the workflow is executed
    Then the workflow should complete
    And the service "shop.example.com" should have received:
      """yaml
      - { headers: { x-a: b }, query: { q: '1' }, body: 1 }
      """

  @http.headers @negative
  Scenario: Headers that come out as no object
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/echo', headers: '${ .n }' } }
      """
    And the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/do/0/ask"

  @http.output
  Scenario Outline: The content of an answer
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/<path>', output: content } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      <output>
      """

    Examples:
      | path   | output                   |
      | pets/1 | { id: 1, name: milou }   |
      | text   | plain                    |
      | bytes  | AAEC                     |
      | empty  | null                     |

  @http.output
  Scenario Outline: The raw content of an answer is in base64
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/<path>', output: raw } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      <output>
      """

    Examples:
      | path  | output   |
      | text  | cGxhaW4= |
      | bytes | AAEC     |

  @http.output
  Scenario: The whole answer
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with: { method: get, endpoint: 'https://shop.example.com/pets/1', headers: { accept: application/json }, output: response }
      """
    When the workflow is executed
    Then the workflow should complete with output like:
      """yaml
      request: { method: GET, uri: 'https://shop.example.com/pets/1', headers: { accept: application/json } }
      statusCode: 200
      headers: { x-kind: dog }
      content: { id: 1, name: milou }
      """

  @http.output @negative
  Scenario: An output that the language does not have
    Given a workflow:
      """yaml
      do:
        - ask:
            call: http
            with: { method: get, endpoint: 'https://shop.example.com/echo', output: headers }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "headers"

  @http.redirect @negative
  Scenario: A redirection is an error unless it is wanted
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/old' } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
      status: 301
      """

  @http.redirect
  Scenario: A redirection that is wanted is no error
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/old', redirect: true, output: response } }
      output: { as: '.statusCode >= 200 and .statusCode < 400' }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      true
      """

  @http @negative
  Scenario Outline: An answer that is an error
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/<path>' } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
      status: <status>
      instance: /do/0/ask
      """

    Examples:
      | path    | status |
      | missing | 404    |
      | broken  | 500    |

  @http @negative
  Scenario: A service that is not there
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: 'http://127.0.0.1:1/' } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
      instance: /do/0/ask
      """

  @uriTemplate
  Scenario Outline: Variables in an endpoint are expanded and encoded
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/v/<template>' } }
      output: { as: .path }
      """
    And the workflow input is:
      """yaml
      text: a b/c
      yes: true
      seven: 7
      nothing: null
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      <path>
      """

    Examples:
      | template      | path    |
      | {text}        | encoded |
      | {nothing}     | empty   |
      | {unknown}     | empty   |
      | {yes}/{seven} | typed   |

  @uriTemplate @negative
  Scenario: A variable that is no text, number or truth
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/v/{list}' } }
      """
    And the workflow input is:
      """yaml
      list: [1]
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/expression
      status: 400
      """

  @http.endpoint @negative
  Scenario: An endpoint that comes out as no address
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: '${ .n }' } }
      """
    And the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      instance: /do/0/ask
      """

  @egress @negative
  Scenario Outline: Private addresses are refused unless the operator allows them
    Given a server with the configuration:
      """yaml
      # nothing is allowed
      """
    And a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: '<endpoint>' } }
      """
    When the workflow is executed
    Then the workflow should have been kept from <host>

    Examples:
      | endpoint                                 | host             |
      | http://169.254.169.254/latest/meta-data/ | 169.254.169.254  |
      | http://127.0.0.1:8080/                   | 127.0.0.1        |
      | http://localhost:8080/                   | localhost        |
      | http://[::1]:8080/                       | ::1              |
      | http://10.0.0.1/                         | 10.0.0.1         |
      | http://[::ffff:169.254.169.254]/         | 169.254.169.254  |
      | http://2130706433/                       | 127.0.0.1        |

  @egress @negative
  Scenario: The metadata address is refused where loopback is allowed
    Given a workflow:
      """yaml
      do:
        - ask: { call: http, with: { method: get, endpoint: 'http://169.254.169.254/latest/meta-data/' } }
      """
    When the workflow is executed
    Then the workflow should have been kept from 169.254.169.254
