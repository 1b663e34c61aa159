Feature: Hostile expressions and inputs
  Whatever an expression does, it is an error of its run, in bounded time and memory, and the server lives.

  @hostile @negative
  Scenario Outline: An expression that does not end or grows without bound
    Given a workflow:
      """yaml
      do:
        - attack: { set: { a: '${ <expression> }' } }
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/do/0/attack"
    And it should have taken less than 60000 milliseconds
    And the server should be alive and use less than 1500 MiB

    Examples:
      | expression                                             |
      | def f: 1 + f; f                                        |
      | def f: f; f                                            |
      | [repeat(1)]                                            |
      | last(repeat(1))                                        |
      | [range(1e12)] \| length                                |
      | reduce range(64) as $i ("xxxxxxxx"; . + .) \| length   |
      | [limit(100; repeat("x" * 1e9))] \| length              |
      | [range(1e9) \| {a: .}]                                 |
      | reduce range(1e9) as $i ([]; [.])                      |
      | "x" * 1e12                                             |
      | [range(0; 1e9; 0.0001)] \| add                         |
      | [.[]?, (1 \| while(true; . + 1))] \| length            |
      | until(false; . + [1])                                  |

  @hostile
  Scenario: A pattern that others backtrack on for ever
    Given a workflow:
      """yaml
      do:
        - attack: { set: { a: '${ ("a" * 50000 + "b") | test("^(a+)+$") }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      a: false
      """
    And it should have taken less than 30000 milliseconds

  @hostile @negative
  Scenario: A loop over more than a machine can hold
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { in: 'range(1e12) | [.]' }
            do:
              - a: { set: { n: 1 } }
        - giant:
            for: { in: '[range(1e12)]' }
            do:
              - a: { set: { n: 1 } }
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/do/1/giant"
    And the server should be alive and use less than 1500 MiB

  @hostile @negative
  Scenario: An input that is nested without end
    Given a workflow:
      """yaml
      do:
        - a: { set: { n: '${ . }' } }
      """
    When a body of 100000 nested arrays is sent as input
    Then the API should answer 400
    And the server should be alive and use less than 1500 MiB

  @hostile @negative
  Scenario: A value that a run nests deeper and deeper
    Given a workflow:
      """yaml
      do:
        - deeper:
            set: { in: '${ .in // . }' }
            output: { as: '{ in: [.in] }' }
            then: deeper
      """
    When the workflow is executed
    Then the workflow should fault
    And the server should be alive and use less than 1500 MiB

  @hostile @negative
  Scenario: A value that a run doubles again and again
    Given a workflow:
      """yaml
      do:
        - double: { set: { text: '${ (.text // "xxxxxxxxxxxxxxxx") + (.text // "xxxxxxxxxxxxxxxx") }' }, then: double }
      """
    When the workflow is executed
    Then the workflow should fault
    And the server should be alive and use less than 2000 MiB

  @hostile
  Scenario: A loop without end does not keep others from running, and can be cancelled
    Given another workflow "other":
      """yaml
      do:
        - a: { set: { n: 1 } }
      """
    And a workflow:
      """yaml
      do:
        - spin: { set: { n: '${ (.n // 0) + 1 }' }, then: spin }
      """
    When the workflow is started
    And 300 milliseconds pass
    And a run of "conformance/other" is executed
    And the run is cancelled by a person
    Then the workflow should be cancelled
    And the server should be alive and use less than 1500 MiB

  @hostile @negative
  Scenario: A definition of aliases that multiply
    Given a workflow:
      """yaml
      do:
        - a:
            set:
              a: &a [x, x, x, x, x, x, x, x, x]
              b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
              c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
              d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]
              e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]
              f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]
              g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]
              h: [*g, *g, *g, *g, *g, *g, *g, *g, *g]
      """
    When the workflow is deployed
    Then the API should answer 422
    And the server should be alive and use less than 1500 MiB
