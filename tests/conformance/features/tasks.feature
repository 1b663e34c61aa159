Feature: Tasks that stand by themselves
  do, set, switch, for, raise and wait.

  @do
  Scenario: Tasks within tasks, each with the output of the one before
    Given a workflow:
      """yaml
      do:
        - outer:
            do:
              - one: { set: { n: '${ .n + 1 }' } }
              - inner:
                  do:
                    - two: { set: { n: '${ .n * 10 }' } }
      """
    And the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 20
      """
    And these tasks should have started: outer, one, inner, two

  @do @negative
  Scenario: A list of tasks that is an object
    Given a workflow:
      """yaml
      do:
        - outer:
            do:
              one: { set: { n: 1 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "do"

  @task @negative
  Scenario: A task of no kind
    Given a workflow:
      """yaml
      do:
        - nothing:
            if: 'true'
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "nothing"

  @task @negative
  Scenario: A task of two kinds
    Given a workflow:
      """yaml
      do:
        - both:
            set: { a: 1 }
            wait: PT1S
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "wait"

  @task @negative
  Scenario: Two tasks of one name in a list
    Given a workflow:
      """yaml
      do:
        - same: { set: { a: 1 } }
        - same: { set: { a: 2 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "same"

  @set
  Scenario: Data set as an object, deep
    Given a workflow:
      """yaml
      do:
        - give:
            set:
              text: not ${ .a } evaluated
              list: [1, '${ .a }', { deep: '${ [.a, .a] }' }]
              nothing: null
      """
    And the workflow input is:
      """yaml
      a: x
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      text: not ${ .a } evaluated
      list: [1, x, { deep: [x, x] }]
      nothing: null
      """

  @set
  Scenario: Data set by an expression
    Given a workflow:
      """yaml
      do:
        - give: { set: '${ .list[1] }' }
      """
    And the workflow input is:
      """yaml
      list: [1, text]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      text
      """

  @set @negative
  Scenario: Data that cannot be set
    Given a workflow:
      """yaml
      do:
        - give:
            set: {}
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "set"

  @switch.when @switch.then
  Scenario: The first case that holds is taken
    Given a workflow:
      """yaml
      do:
        - choose:
            switch:
              - small: { when: .n < 10, then: low }
              - tiny: { when: '${ .n < 5 }', then: never }
              - other: { then: high }
        - never: { set: { got: never } }
        - low: { set: { got: low }, then: end }
        - high: { set: { got: high } }
      """
    And the workflow input is:
      """yaml
      n: 3
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      got: low
      """
    And these tasks should have started: choose, low

  @switch.then
  Scenario: A default case that stands first is taken last
    Given a workflow:
      """yaml
      do:
        - choose:
            switch:
              - other: { then: high }
              - small: { when: .n < 10, then: low }
        - high: { set: { got: high }, then: end }
        - low: { set: { got: low }, then: end }
      """
    And the workflow input is:
      """yaml
      n: 3
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      got: low
      """

  @switch.then
  Scenario: Cases that continue, exit and end
    Given a workflow:
      """yaml
      do:
        - one:
            switch:
              - go: { when: .go, then: continue }
        - two:
            do:
              - inner:
                  switch:
                    - out: { when: .go, then: exit }
              - never: { set: { never: true } }
        - three:
            switch:
              - stop: { then: end }
        - neither: { set: { never: true } }
      """
    And the workflow input is:
      """yaml
      go: true
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      go: true
      """
    And these tasks should have started: one, two, inner, three

  @switch.then @negative
  Scenario: A case without a direction
    Given a workflow:
      """yaml
      do:
        - choose:
            switch:
              - small: { when: .n < 10 }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "then"

  @switch @negative
  Scenario: Two default cases
    Given a workflow:
      """yaml
      do:
        - choose:
            switch:
              - one: { then: end }
              - two: { then: end }
      """
    When the workflow is deployed
    Then the definition should be refused at line 5 saying "when"

  @switch.when @negative
  Scenario: A case that cannot be evaluated
    Given a workflow:
      """yaml
      do:
        - choose:
            switch:
              - small: { when: .n.m, then: end }
      """
    And the workflow input is:
      """yaml
      n: text
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/do/0/choose"

  @for.each @for.in @for.at
  Scenario: Each item with its name and its index, the output of the last iteration
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { each: pet, in: .pets, at: i }
            do:
              - mark: { set: { seen: '${ .seen + ["\($i):\($pet)"] }' } }
      """
    And the workflow input is:
      """yaml
      pets: [milou, felix]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      seen: ['0:milou', '1:felix']
      """
    And mark should run 2 times

  @for.each @for.at
  Scenario: The item and the index have names when none are given
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { in: '${ .pets }' }
            do:
              - mark: { set: { last: '${ $item }', at: '${ $index }' } }
      """
    And the workflow input is:
      """yaml
      pets: [milou, felix]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      last: felix
      at: 1
      """

  @for.in
  Scenario: An inline collection
    Given a workflow:
      """yaml
      do:
        - loop:
            for:
              each: color
              in: [{ name: red }, { name: '${ "gr" + "een" }' }]
            do:
              - mark: { set: { names: '${ .names + [$color.name] }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      names: [red, green]
      """

  @for.in
  Scenario: An empty collection lets its input through
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { in: .none }
            do:
              - mark: { set: { never: true } }
      """
    And the workflow input is:
      """yaml
      none: []
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      none: []
      """

  @for.while
  Scenario: A loop goes on while a condition holds that sees the iteration's variables
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { each: n, in: '[1, 2, 3, 4]', at: i }
            while: $n < 3 and $i < 9 and (.sum // 0) < 100
            do:
              - add: { set: { sum: '${ (.sum // 0) + $n }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      sum: 3
      """
    And add should run 2 times

  @for.in @negative
  Scenario: A collection that is none
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { in: .n }
            do:
              - mark: { set: { a: 1 } }
      """
    And the workflow input is:
      """yaml
      n: 7
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/do/0/loop"

  @for.in @negative
  Scenario: A loop over nothing
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { each: n }
            do:
              - mark: { set: { a: 1 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "in"

  @for.while @negative
  Scenario: A condition of a loop that cannot be evaluated
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { in: '[1]' }
            while: .a.b
            do:
              - mark: { set: { a: 1 } }
      """
    And the workflow input is:
      """yaml
      a: text
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/do/0/loop"

  @raise.error
  Scenario: An error in full, with expressions
    Given a workflow:
      """yaml
      do:
        - fail:
            raise:
              error:
                type: https://example.com/errors/teapot
                status: 418
                title: '${ "Not \(.what)" }'
                detail: A plain text
                instance: /elsewhere
      """
    And the workflow input is:
      """yaml
      what: possible
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://example.com/errors/teapot
      status: 418
      title: Not possible
      detail: A plain text
      instance: /elsewhere
      """
    And these tasks should have faulted: fail

  @raise.error
  Scenario: An error whose type is an expression
    Given a workflow:
      """yaml
      do:
        - fail:
            raise:
              error: { type: '${ .type }', status: 500, instance: '${ "/" + "there" }', detail: '${ "because \(1 + 1)" }' }
      """
    And the workflow input is:
      """yaml
      type: https://example.com/errors/dynamic
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://example.com/errors/dynamic
      status: 500
      detail: because 2
      instance: /there
      """

  @raise.error @use.errors
  Scenario: An error by its name
    Given a workflow:
      """yaml
      use:
        errors:
          teapot: { type: 'https://example.com/errors/teapot', status: 418, title: Teapot, detail: '${ "for \(.who)" }' }
      do:
        - fail: { raise: { error: teapot } }
      """
    And the workflow input is:
      """yaml
      who: Ann
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://example.com/errors/teapot
      title: Teapot
      detail: for Ann
      instance: /do/0/fail
      """

  @raise.error @use.errors @negative
  Scenario: An error by a name that does not exist
    Given a workflow:
      """yaml
      do:
        - fail:
            raise: { error: teapot }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "teapot"

  @raise.error @negative
  Scenario: An error without a status
    Given a workflow:
      """yaml
      do:
        - fail:
            raise: { error: { type: 'https://example.com/errors/teapot' } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "status"

  @wait
  Scenario Outline: The ways to say how long
    Given a workflow:
      """yaml
      do:
        - rest: { wait: <how> }
      """
    And the workflow input is:
      """yaml
      pause: PT0.12S
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      pause: PT0.12S
      """
    And it should have taken at least <ms> milliseconds

    Examples:
      | how                                                              | ms   |
      | { milliseconds: 120 }                                            | 120  |
      | { seconds: 1 }                                                   | 1000 |
      | { days: 0, hours: 0, minutes: 0, seconds: 0, milliseconds: 120 } | 120  |
      | PT0.12S                                                          | 120  |
      | '${ .pause }'                                                    | 120  |

  @wait @status
  Scenario: A run that waits says so
    Given a workflow:
      """yaml
      do:
        - rest: { wait: { hours: 1 } }
      """
    When the workflow is started
    And the run is waiting
    Then the run should be waiting

  @wait @negative
  Scenario: A duration that is none
    Given a workflow:
      """yaml
      do:
        - rest:
            wait: a while
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "a while"

  @wait @negative
  Scenario: A unit of time that the language does not have
    Given a workflow:
      """yaml
      do:
        - rest:
            wait: { weeks: 1 }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "weeks"

  @wait @negative
  Scenario: An expression that gives no duration
    Given a workflow:
      """yaml
      do:
        - rest: { wait: '${ .pause }' }
      """
    And the workflow input is:
      """yaml
      pause: soon
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/do/0/rest"
