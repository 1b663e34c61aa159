Feature: Fork
  Branches at the same time: all of them, or the first that ends.

  @fork.branches
  Scenario: The outputs of all branches, in the order in which they are declared
    Given a workflow:
      """yaml
      do:
        - split:
            fork:
              branches:
                - slow:
                    do:
                      - rest: { wait: PT0.5S }
                      - give: { set: { slow: '${ .n }' } }
                - quick: { set: { quick: '${ .n + 1 }' } }
                - other: { wait: PT0.5S }
      """
    And the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - slow: 1
      - quick: 2
      - n: 1
      """
    And it should have taken less than 950 milliseconds

  @fork.compete
  Scenario: The output of the first branch that ends; the others are cancelled
    Given a workflow:
      """yaml
      do:
        - race:
            fork:
              compete: true
              branches:
                - slow: { do: [{ rest: { wait: PT1H } }, { never: { set: { by: slow } } }] }
                - quick: { do: [{ pause: { wait: PT0.1S } }, { win: { set: { by: quick } } }] }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      by: quick
      """
    And never should not run
    And these tasks should have cancelled: rest, slow

  @fork.compete
  Scenario: Compete said to be false
    Given a workflow:
      """yaml
      do:
        - both:
            fork:
              compete: false
              branches:
                - one: { set: { n: 1 } }
                - two: { set: { n: 2 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - n: 1
      - n: 2
      """

  @fork.branches
  Scenario: A fork within a fork
    Given a workflow:
      """yaml
      do:
        - outer:
            fork:
              branches:
                - left:
                    fork:
                      branches:
                        - a: { set: { v: a } }
                        - b: { set: { v: b } }
                - right:
                    fork:
                      compete: true
                      branches:
                        - c: { set: { v: c } }
                        - d: { wait: PT1H }
            output: { as: '[.[0][].v, .[1].v]' }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [a, b, c]
      """

  @fork.branches @task.export.as
  Scenario: Each branch has its own context, and exports are merged in the order of the branches
    Given a workflow:
      """yaml
      do:
        - split:
            fork:
              branches:
                - first: { set: { seen: '${ $context }' }, export: { as: '$context + { a: 1, last: "first" }' } }
                - second: { set: { seen: '${ $context }' }, export: { as: '$context + { b: 2, last: "second" }' } }
        - look: { set: { outputs: '${ . }', context: '${ $context }' } }
      """
    And the workflow input is:
      """yaml
      from: input
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      outputs:
        - seen: { from: input }
        - seen: { from: input }
      context: { from: input, a: 1, last: second, b: 2 }
      """

  @fork.branches @negative
  Scenario: A branch that faults faults the fork, and its siblings are cancelled
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - split:
                  fork:
                    branches:
                      - slow: { wait: PT1H }
                      - fail: { raise: { error: { type: 'https://example.com/x', status: 500 } } }
            catch:
              do:
                - handle: { set: { at: '${ $error.instance }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      at: /do/0/attempt/try/0/split/fork/branches/1/fail
      """
    And these tasks should have cancelled: slow

  @fork.compete @negative
  Scenario: In a race a branch that faults before another has ended faults the fork
    Given a workflow:
      """yaml
      do:
        - race:
            fork:
              compete: true
              branches:
                - fail: { raise: { error: { type: 'https://example.com/x', status: 500 } } }
                - slow: { wait: PT1H }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      status: 500
      instance: /do/0/race/fork/branches/0/fail
      """

  @fork.branches @negative
  Scenario: A fork without branches
    Given a workflow:
      """yaml
      do:
        - split:
            fork: { compete: true }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "branches"

  @fork.branches @then @negative
  Scenario: A branch that directs to its sibling
    Given a workflow:
      """yaml
      do:
        - split:
            fork:
              branches:
                - one: { set: { n: 1 }, then: two }
                - two: { set: { n: 2 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 5 saying "two"

  @fork.branches @cancel
  Scenario: A cancelled run cancels every branch
    Given a workflow:
      """yaml
      do:
        - split:
            fork:
              branches:
                - one: { wait: PT1H }
                - two: { wait: PT1H }
      """
    When the workflow is started
    And the run is waiting
    And the run is cancelled by a person
    Then the workflow should be cancelled
    And these tasks should have cancelled: one, two, split

  @fork.branches @task.timeout
  Scenario: A fork that takes too long
    Given a workflow:
      """yaml
      do:
        - split:
            fork:
              branches:
                - one: { wait: PT1H }
                - two: { set: { n: 1 } }
            timeout: { after: PT0.05S }
      """
    When the workflow is executed
    Then the workflow should fault with a timeout error at "/do/0/split"
