Feature: Runtime expressions
  jq, with the arguments that the language gives at each place. What is in the data is never evaluated.

  @workflow.id @workflow.definition @workflow.input @workflow.startedAt
  Scenario: $workflow describes the run
    Given a workflow:
      """yaml
      input: { from: '{ changed: true }' }
      do:
        - look:
            set:
              id: '${ $workflow.id | length }'
              name: '${ $workflow.definition.document.name }'
              raw: '${ $workflow.input }'
              input: '${ $input }'
              iso: '${ $workflow.startedAt.iso8601 | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$") }'
              seconds: '${ $workflow.startedAt.epoch.seconds > 1700000000 }'
              whole: '${ ($workflow.startedAt.epoch.milliseconds / 1000 | floor) == $workflow.startedAt.epoch.seconds }'
      """
    And the workflow input is:
      """yaml
      raw: true
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      id: 36
      name: main
      raw: { raw: true }
      input: { changed: true }
      iso: true
      seconds: true
      whole: true
      """

  @task.name @task.reference @task.definition @task.input @task.output @task.startedAt
  Scenario: $task describes the task
    Given a workflow:
      """yaml
      do:
        - outer:
            do:
              - look:
                  input: { from: .inner }
                  set:
                    name: '${ $task.name }'
                    reference: '${ $task.reference }'
                    definition: '${ $task.definition.metadata }'
                    input: '${ $task.input }'
                    started: '${ $task.startedAt.epoch.milliseconds >= $workflow.startedAt.epoch.milliseconds }'
                  output: { as: '. + { output: ($task.output | has("name")) }' }
                  metadata: { a: 1 }
      """
    And the workflow input is:
      """yaml
      inner: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      name: look
      reference: /do/0/outer/do/0/look
      definition: { a: 1 }
      input: { inner: 1 }
      started: true
      output: true
      """

  @task.reference
  Scenario: The reference of a task in a loop is the pointer without iterations
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { in: '[1, 2]' }
            do:
              - look: { set: { at: '${ $task.reference }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      at: /do/0/loop/do/0/look
      """

  @runtime.name @runtime.version @runtime.metadata
  Scenario: $runtime describes the runtime
    Given a workflow:
      """yaml
      do:
        - look:
            set:
              name: '${ $runtime.name }'
              version: '${ $runtime.version | type }'
              metadata: '${ $runtime.metadata | type }'
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      name: potok
      version: string
      metadata: object
      """

  @context @input @output
  Scenario: $context, $input and $output where a task may see them
    Given a workflow:
      """yaml
      do:
        - first: { set: { n: 1 }, export: { as: '{ saved: $output.n }' } }
        - second:
            if: $context.saved == 1
            input: { from: '{ from: $context.saved }' }
            set: { context: '${ $context.saved }', input: '${ $input.from }' }
            output: { as: '. + { in: $input.from, c: $context.saved }' }
            export: { as: '{ all: [$input.from, $output.in, $context.saved] }' }
      output: { as: '. + { all: $context.all }' }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      context: 1
      input: 1
      in: 1
      c: 1
      all: [1, 1, 1]
      """

  @output @negative
  Scenario: $output is not known before there is one
    Given a workflow:
      """yaml
      do:
        - first:
            set: { n: '${ $output }' }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "$output"

  @context @negative
  Scenario: $context is not known before there is one
    Given a workflow:
      """yaml
      input: { from: $context }
      do:
        - first: { set: { n: 1 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "$context"

  @expression @negative
  Scenario: An argument that does not exist
    Given a workflow:
      """yaml
      do:
        - first:
            set: { n: '${ $nothing }' }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "$nothing"

  @expression @negative
  Scenario: An expression that is none
    Given a workflow:
      """yaml
      do:
        - first:
            set: { n: '${ .a | }' }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "expression"

  @expression @negative
  Scenario: An expression that fails is an error of its task
    Given a workflow:
      """yaml
      do:
        - first: { set: { n: '${ error("no") }' } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/expression
      status: 400
      instance: /do/0/first
      """

  @expression @negative
  Scenario Outline: Nothing reads what is outside of the run
    Given a workflow:
      """yaml
      do:
        - first:
            set: { n: '${ <filter> }' }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "<name>"

    Examples:
      | filter    | name  |
      | env       | env   |
      | $ENV.PATH | $ENV  |
      | now       | now   |
      | input     | input |
      | halt      | halt  |
      | debug     | debug |

  @expression
  Scenario: jq as jq has it
    Given a workflow:
      """yaml
      do:
        - compute:
            set:
              map: '${ .list | map(. * 2) }'
              group: '${ .people | group_by(.age) | map(length) }'
              reduce: '${ reduce .list[] as $n (0; . + $n) }'
              text: '${ "\(.list | length) numbers" | ascii_upcase }'
              define: '${ def twice: . + .; .list[0] | twice }'
              alternative: '${ .nothing // "none" }'
              attempt: '${ try error("x") catch . }'
              entries: '${ { a: 1 } | to_entries }'
              whole: '${ 10 / 2 }'
              exact: '${ 9007199254740993 }'
              first: '${ .list[] }'
              none: '${ empty }'
              match: '${ "a1b22" | [scan("[0-9]+")] }'
      """
    And the workflow input is:
      """yaml
      list: [1, 2, 3]
      people: [{ age: 1 }, { age: 2 }, { age: 1 }]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      map: [2, 4, 6]
      group: [2, 1]
      reduce: 6
      text: 3 NUMBERS
      define: 2
      alternative: none
      attempt: x
      entries: [{ key: a, value: 1 }]
      whole: 5
      exact: 9007199254740993
      first: 1
      none: null
      match: ['1', '22']
      """

  @expression @injection
  Scenario: What looks like an expression in the input is text
    Given the service "shop.example.com" answers:
      """yaml
      POST /echo: { echo: true }
      """
    And a workflow:
      """yaml
      do:
        - set: { set: { copy: '${ . }', name: '${ .name }' } }
        - call:
            call: http
            with: { method: post, endpoint: 'https://shop.example.com/echo', body: '${ . }', headers: { x-name: '${ .name }' }, query: { q: '${ .name }' } }
            output: { as: '{ body, header: .headers["x-name"], query: .query.q }' }
        - fail:
            try:
              - raise: { raise: { error: { type: 'https://example.com/x', status: 500, detail: '${ .query }' } } }
            catch:
              do:
                - handle: { set: { detail: '${ $error.detail }', loop: '${ $workflow.input.list }' } }
        - loop:
            for: { in: .loop }
            do:
              - item: { set: { item: '${ $item }', detail: '${ .detail }' } }
      """
    And the workflow input is:
      """yaml
      name: '${ 1 + 1 }'
      list: ['${ $workflow.id }', '${ error("evaluated") }']
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      item: '${ error("evaluated") }'
      detail: '${ 1 + 1 }'
      """
    And the service "shop.example.com" should have received:
      """yaml
      - query: { q: '${ 1 + 1 }' }
        headers: { x-name: '${ 1 + 1 }' }
        body: { name: '${ 1 + 1 }', copy: { list: ['${ $workflow.id }', '${ error("evaluated") }'] } }
      """

  @expression @injection
  Scenario: What looks like a template in the input is text
    Given the service "shop.example.com" answers:
      """yaml
      GET /pets/%7Bother%7D: { json: { found: true } }
      """
    And a workflow:
      """yaml
      do:
        - call: { call: http, with: { method: get, endpoint: 'https://shop.example.com/pets/{name}' } }
      """
    And the workflow input is:
      """yaml
      name: '{other}'
      other: wrong
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      found: true
      """
