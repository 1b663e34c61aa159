Feature: Functions
  Calls by name: tasks of the workflow's own, and functions of the catalog.

  @use.functions
  Scenario: A task by its name, with its own input
    Given a workflow:
      """yaml
      use:
        functions:
          double:
            input: { schema: { document: { required: [n] } } }
            set: { doubled: '${ .n * 2 }' }
            output: { as: .doubled }
          nested:
            do:
              - a: { set: { n: '${ .n + 1 }' } }
              - b: { call: double, with: { n: '${ .n }' } }
      do:
        - first: { call: double, with: { n: '${ .n }' } }
        - second: { call: nested, with: { n: '${ . }' } }
      """
    And the workflow input is:
      """yaml
      n: 3
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      14
      """

  @use.functions @negative
  Scenario: Arguments that do not fit the function's schema
    Given a workflow:
      """yaml
      use:
        functions:
          double:
            input: { schema: { document: { required: [n] } } }
            set: { doubled: '${ .n * 2 }' }
      do:
        - first: { call: double, with: { m: 1 } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/validation
      """

  @use.functions @negative
  Scenario: A function that does not exist
    Given a workflow:
      """yaml
      do:
        - first:
            call: double
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "double"

  @use.functions
  Scenario: A function that calls itself until it is done
    Given a workflow:
      """yaml
      use:
        functions:
          down:
            do:
              - once: { set: { n: '${ .n - 1 }' } }
              - again: { if: '${ .n > 0 }', call: down, with: { n: '${ .n }' } }
      do:
        - first: { call: down, with: { n: 5 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 0
      """

  @use.functions @negative
  Scenario: A function that calls itself without end
    Given a workflow:
      """yaml
      use:
        functions:
          again: { call: again }
      do:
        - first: { call: again }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/runtime
      title: Too many functions
      """

  @call.function
  Scenario Outline: A function of the default catalog
    Given a workflow:
      """yaml
      do:
        - split: { call: '<function>', with: { chapters: [{ title: One, text: One. Two. }] } }
      """
    When the workflow is executed
    Then the workflow should complete

    Examples:
      | function           |
      | text.split         |
      | text.split:1.0.0   |
      | text.split:1.0.0@default |

  @call.function @negative
  Scenario: A version that the catalog does not have
    Given a workflow:
      """yaml
      do:
        - split:
            call: text.split:99.0.0
            with: { chapters: [] }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "99.0.0"

  @call.function @negative
  Scenario: Arguments that the function does not take
    Given a workflow:
      """yaml
      do:
        - split:
            call: text.split
            with: { chapters: '${ .chapters }' }
      """
    And the workflow input is:
      """yaml
      chapters: 7
      """
    When the workflow is executed
    Then the workflow should fault with a validation error at "/do/0/split"

  @callTask.CallFunction
  Scenario: A function behind a URI, which calls another one
    Given the service "functions.example.com" answers:
      """yaml
      GET /double.json:
        json:
          input: { schema: { document: { type: object, required: [n] } } }
          do:
            - compute: { set: { n: '${ .n * 2 }' } }
            - add: { call: 'https://functions.example.com/add.json', with: { n: '${ .n }' } }
      GET /add.json: { json: { set: { n: '${ .n + 1 }' } } }
      """
    And a workflow:
      """yaml
      do:
        - first:
            call: https://functions.example.com/double.json
            with: { n: '${ .n }' }
        - second:
            call: https://functions.example.com/double.json
            with: { n: '${ .n }' }
      """
    And the workflow input is:
      """yaml
      n: 3
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 15
      """
    And the service "functions.example.com" should have received:
      """yaml
      - { path: /double.json }
      - { path: /add.json }
      """

  @callTask.CallFunction @negative
  Scenario Outline: A function behind a URI that cannot be called
    Given the service "functions.example.com" answers:
      """yaml
      GET /away.json: { status: 404 }
      GET /page.html: { text: 'no function' }
      GET /two.json: { json: { set: { a: 1 }, wait: PT1S } }
      GET /broken.json: { json: { set: { a: '${ .n + }' } } }
      GET /container.json: { json: { run: { container: { image: alpine } } } }
      GET /file.json: { json: { call: ./secret.yaml } }
      GET /round.json: { json: { call: nobody.knows } }
      """
    And a workflow:
      """yaml
      do:
        - first:
            call: https://functions.example.com/<path>
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "<why>"

    Examples:
      | path           | why                                 |
      | away.json      | cannot be fetched                   |
      | page.html      | page.html:1:1                       |
      | two.json       | two.json:1:                         |
      | broken.json    | broken.json:1:                      |
      | container.json | not supported yet: run: container   |
      | file.json      | cannot name files                   |
      | round.json     | nobody.knows                        |

  @callTask.CallFunction @negative
  Scenario: Arguments that do not fit the schema of a function behind a URI
    Given the service "functions.example.com" answers:
      """yaml
      GET /double.json:
        json:
          input: { schema: { document: { type: object, properties: { n: { type: integer } } } } }
          set: { n: '${ .n * 2 }' }
      """
    And a workflow:
      """yaml
      do:
        - first:
            call: https://functions.example.com/double.json
            with: { n: many }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "'n'"
