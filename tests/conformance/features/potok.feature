@alone
Feature: metadata.potok
  What the language lacks, under a key that other engines leave alone.

  @potok.parallel @potok.collect @potok.label
  Scenario: Iterations at once, all outputs collected
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { each: n, in: '[1, 2, 3]' }
            do:
              - rest: { wait: PT0.5S }
              - give: { set: { n: '${ $n * 10 }' }, metadata: { potok: { label: Give } } }
            metadata: { potok: { parallel: 3, collect: true } }
      output: { as: 'map(.n)' }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [10, 20, 30]
      """
    And it should have taken less than 1400 milliseconds

  @potok.parallel @negative
  Scenario: While together with parallel
    Given a workflow:
      """yaml
      do:
        - loop:
            for: { in: '[1]' }
            while: 'true'
            do:
              - give: { set: { n: 1 } }
            metadata:
              potok: { parallel: 3 }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "parallel"

  @potok.idempotencyKey
  Scenario: A key of one's own for a call
    Given the service "shop.example.com" answers:
      """yaml
      POST /orders: { json: { ok: true } }
      """
    And a workflow:
      """yaml
      do:
        - order:
            call: http
            with: { method: post, endpoint: 'https://shop.example.com/orders', body: { n: 1 } }
            metadata: { potok: { idempotencyKey: '${ "order-" + .id }' } }
      """
    And the workflow input is:
      """yaml
      id: seven
      """
    When the workflow is executed
    Then the workflow should complete
    And the service "shop.example.com" should have received:
      """yaml
      - headers: { idempotency-key: order-seven }
      """

  @potok.schedule
  Scenario: A schedule in a time zone
    Given a workflow:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: conformance
        name: main
        version: '1.0.0'
        metadata: { potok: { schedule: { timezone: Europe/Moscow, overlap: queue, catchUp: none } } }
      schedule: { cron: '* * * * * *' }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then at least 1 runs of the workflow should complete

  @potok.schedule @negative
  Scenario: A time zone that does not exist
    Given a workflow:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: conformance
        name: main
        version: '1.0.0'
        metadata: { potok: { schedule: { timezone: Europe/Moskva } } }
      schedule: { cron: '* * * * * *' }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "Europe/Moskva"

  @potok @negative
  Scenario: A key that is not known
    Given a workflow:
      """yaml
      do:
        - say:
            set: { ok: true }
            metadata: { potok: { lable: Say } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "lable"

  @potok.delivery
  Scenario: A call that is made at most once is made
    Given the service "shop.example.com" answers:
      """yaml
      POST /orders: { json: { ok: true } }
      """
    And a workflow:
      """yaml
      do:
        - order:
            call: http
            with: { method: post, endpoint: 'https://shop.example.com/orders', body: { n: 1 } }
            metadata: { potok: { delivery: atMostOnce } }
      """
    When the workflow is executed
    Then the workflow should complete
    And the service "shop.example.com" should have received 1 request

  @potok.delivery @negative
  Scenario: A delivery that there is not
    Given a workflow:
      """yaml
      do:
        - order:
            call: http
            with: { method: post, endpoint: 'https://shop.example.com/orders' }
            metadata: { potok: { delivery: twice } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 5 saying "twice"

  @potok.rate
  Scenario: A task that begins at most so often
    Given a workflow:
      """yaml
      do:
        - all:
            for: { in: '${ [range(3)] }' }
            metadata: { potok: { parallel: 3 } }
            do:
              - one:
                  set: { done: true }
                  metadata: { potok: { rate: { limit: 1, per: second, key: '${ $workflow.name // "same" }' } } }
      """
    When the workflow is executed
    Then the workflow should complete
    And one should run 3 times
    And it should have taken at least 2000 milliseconds

  @potok.rate @negative
  Scenario: A rate whose key cannot be evaluated
    Given a workflow:
      """yaml
      do:
        - one:
            set: { done: true }
            metadata: { potok: { rate: { limit: 1, per: second, key: '${ error("no") }' } } }
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/do/0/one"

  @potok.rate @negative
  Scenario: A rate of nothing
    Given a workflow:
      """yaml
      do:
        - one:
            set: { done: true }
            metadata: { potok: { rate: { limit: 0, per: second } } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "limit"

  @potok.concurrency
  Scenario: A run for which there is no place waits
    Given a workflow:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: conformance
        name: main
        version: '1.0.0'
        metadata: { potok: { concurrency: { key: '${ $workflow.input.account }', limit: 1 } } }
      do:
        - rest: { wait: PT1S }
      """
    And the workflow input is:
      """yaml
      account: ann
      """
    When the workflow is started
    And the workflow is started again
    And the run is pending
    Then the workflow should complete

  @potok.concurrency @negative
  Scenario: A run for which there is no place is refused
    Given a workflow:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: conformance
        name: main
        version: '1.0.0'
        metadata: { potok: { concurrency: { key: '${ $workflow.input.account }', limit: 1, onConflict: reject } } }
      do:
        - rest: { wait: PT1H }
      """
    And the workflow input is:
      """yaml
      account: ann
      """
    When the workflow is started
    And the workflow is started again
    Then the API should answer 409

  @potok.concurrency
  Scenario: A run takes the place of an older one
    Given a workflow:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: conformance
        name: main
        version: '1.0.0'
        metadata: { potok: { concurrency: { limit: 1, onConflict: replace } } }
      do:
        - rest: { wait: PT1S }
      """
    When the workflow is started
    And the run is waiting
    And the workflow is started again
    Then the workflow should complete
    And a run of the workflow "main" should be cancelled
