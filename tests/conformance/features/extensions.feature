Feature: Extensions
  Tasks before and after other tasks, for all of a kind.

  @extension.extend @extension.before @extension.after
  Scenario: Before and after every call
    Given the service "shop.example.com" answers:
      """yaml
      GET /pet: { json: { name: milou } }
      POST /log: { json: {} }
      """
    And a workflow:
      """yaml
      use:
        extensions:
          - logging:
              extend: set
              before:
                - tell:
                    call: http
                    with: { method: post, endpoint: 'https://shop.example.com/log', body: { before: '${ $task.reference }' } }
              after:
                - told:
                    call: http
                    with: { method: post, endpoint: 'https://shop.example.com/log', body: { after: '${ $task.reference }' } }
      do:
        - one: { set: { n: 1 } }
        - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/pet' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      name: milou
      """
    And these tasks should have started: one, tell, told, ask

  @extension.extend
  Scenario Outline: Every kind of task can be extended
    Given another workflow "other":
      """yaml
      do:
        - a: { set: { n: 1 } }
      """
    And a workflow:
      """yaml
      use:
        functions: { f: { set: { n: 1 } } }
        extensions:
          - counting:
              extend: <kind>
              before:
                - extended: { set: '${ . }' }
      do:
        - attempt:
            try:
              - task: <task>
            catch:
              do:
                - handle: { do: [{ deep: { wait: PT0S } }] }
      """
    When the workflow is executed
    Then the workflow should complete
    And extended should run <times> times

    Examples:
      | kind      | task                                                            | times |
      | call      | { call: f }                                                     | 1     |
      | composite | { fork: { branches: [{ a: { wait: PT0S } }] } }                 | 1     |
      | composite | { do: [{ a: { wait: PT0S } }] }                                 | 1     |
      | emit      | { emit: { event: { with: { type: a } } } }                      | 1     |
      | for       | { for: { in: '[1]' }, do: [{ a: { wait: PT0S } }] }             | 1     |
      | raise     | { raise: { error: { type: 'https://example.com/x', status: 500 } } } | 1 |
      | run       | { run: { workflow: { namespace: conformance, name: other, version: '1.0.0' } } } | 1 |
      | set       | { set: { n: 1 } }                                               | 1     |
      | switch    | { switch: [{ a: { then: continue } }] }                         | 1     |
      | try       | { wait: PT0S }                                                  | 1     |
      | wait      | { wait: PT0S }                                                  | 1     |
      | all       | { wait: PT0S }                                                  | 2     |

  @extension.extend
  Scenario: A listener is extended
    Given a workflow:
      """yaml
      use:
        extensions:
          - counting: { extend: listen, after: [{ extended: { set: '${ . }' } }] }
      do:
        - wait: { listen: { to: { one: { with: { type: com.example.n } } } } }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.n, data: 5 }
      """
    Then the workflow should complete with output:
      """yaml
      [5]
      """
    And extended should run 1 times

  @extension.when
  Scenario: Only where a condition holds
    Given a workflow:
      """yaml
      use:
        extensions:
          - counting: { extend: set, when: '$task.name == "two"', before: [{ extended: { wait: PT0S } }] }
      do:
        - one: { set: { n: 1 } }
        - two: { set: { n: 2 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 2
      """
    And extended should run 1 times

  @extension.before @then
  Scenario: Exit before a task takes its place
    Given a workflow:
      """yaml
      use:
        extensions:
          - mock:
              extend: call
              before:
                - answer: { set: { mocked: true }, then: exit }
      do:
        - ask: { call: http, with: { method: get, endpoint: 'http://169.254.169.254/' } }
        - next: { set: { got: '${ .mocked }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      got: true
      """

  @extension.before @negative
  Scenario: An error of an extension is an error of the task
    Given a workflow:
      """yaml
      use:
        extensions:
          - strict:
              extend: set
              before:
                - check: { raise: { error: { type: 'https://example.com/forbidden', status: 403 } } }
      do:
        - attempt:
            try:
              - one: { set: { n: 1 } }
            catch:
              errors: { with: { status: 403 } }
              do:
                - rest: { wait: PT0S }
      """
    When the workflow is executed
    Then the workflow should complete

  @extension.extend @negative
  Scenario: A kind of task that the language does not have
    Given a workflow:
      """yaml
      use:
        extensions:
          - logging:
              extend: everything
              before: [{ tell: { set: { n: 1 } } }]
      do:
        - one: { set: { n: 1 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "everything"

  @extension.when
  Scenario: A condition that cannot be evaluated does not hold: it is asked of tasks of every shape
    Given a workflow:
      """yaml
      use:
        extensions:
          - counting: { extend: set, when: '.n.m', before: [{ extended: { raise: { error: { type: 'https://example.com/x', status: 400, title: No } } } }] }
      do:
        - one: { set: { n: 1 } }
      """
    And the workflow input is:
      """yaml
      n: text
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 1
      """
