Feature: Flow directives
  Where a run goes on after a task: continue, exit, end, or a task of the same list.

  @then
  Scenario: Continue, said explicitly
    Given a workflow:
      """yaml
      do:
        - a: { set: { n: 1 }, then: continue }
        - b: { set: { n: '${ .n + 1 }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 2
      """

  @then
  Scenario: A jump back makes a loop
    Given a workflow:
      """yaml
      do:
        - count: { set: { n: '${ (.n // 0) + 1 }' } }
        - again:
            switch:
              - enough: { when: .n >= 3, then: done }
              - more: { then: count }
        - never: { set: { never: true } }
        - done: { set: { counted: '${ .n }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      counted: 3
      """
    And count should run 3 times

  @then
  Scenario: A jump within a nested list
    Given a workflow:
      """yaml
      do:
        - outer:
            do:
              - a: { set: { path: [a] }, then: c }
              - b: { set: { path: '${ .path + ["b"] }' }, then: exit }
              - c: { set: { path: '${ .path + ["c"] }' }, then: b }
        - last: { set: { path: '${ .path + ["last"] }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      path: [a, c, b, last]
      """

  @then
  Scenario: Exit leaves the list, at the top the workflow
    Given a workflow:
      """yaml
      do:
        - outer:
            do:
              - a: { set: { n: 1 }, then: exit }
              - never: { set: { n: 2 } }
        - next: { set: { n: '${ .n + 10 }' }, then: exit }
        - neither: { set: { n: 3 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 11
      """
    And these tasks should have started: outer, a, next

  @then
  Scenario: Exit of a loop's list goes on with the next iteration
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { in: '[1, 2]' }
            do:
              - a: { set: { sum: '${ (.sum // 0) + $item }' }, then: exit }
              - never: { set: { sum: -1 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      sum: 3
      """

  @then
  Scenario: End ends the workflow from within
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { in: '[1, 2]' }
            do:
              - inner:
                  do:
                    - a: { set: { n: '${ $item }' }, then: end }
        - never: { set: { n: -1 } }
      output: { as: '{ out: .n }' }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      out: 1
      """
    And these tasks should have started: loop, inner, a

  @then @task.if
  Scenario: A task that is skipped does not direct
    Given a workflow:
      """yaml
      do:
        - a: { if: 'false', set: { n: 1 }, then: end }
        - b: { set: { n: 2 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 2
      """

  @then @negative
  Scenario: A direction to a task that does not exist
    Given a workflow:
      """yaml
      do:
        - a:
            set: { n: 1 }
            then: nowhere
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "nowhere"

  @then @negative
  Scenario: A direction to a task of another depth
    Given a workflow:
      """yaml
      do:
        - outer:
            do:
              - a:
                  set: { n: 1 }
                  then: last
        - last: { set: { n: 2 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "last"

  @switch.then @negative
  Scenario: A case that directs to a task that does not exist
    Given a workflow:
      """yaml
      do:
        - choose:
            switch:
              - one: { then: nowhere }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "nowhere"
