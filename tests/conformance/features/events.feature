@alone
Feature: Events
  Events are emitted, listened to, and start runs.

  @emit.event
  Scenario: An event with everything that it may have
    Given a workflow:
      """yaml
      do:
        - tell:
            emit:
              event:
                with:
                  id: '${ "order-" + .id }'
                  source: https://example.com/{id}
                  type: com.example.order.placed
                  time: '2026-01-01T00:00:00Z'
                  subject: '${ .id }'
                  datacontenttype: application/json
                  dataschema: https://example.com/schemas/order
                  data: { id: '${ .id }', list: [1, '${ .n }'] }
                  priority: high
      """
    And the workflow input is:
      """yaml
      id: seven
      n: 2
      """
    When the workflow is executed
    Then the workflow should complete
    And these events of type "com.example.order.placed" should be in the stream:
      """yaml
      - specversion: '1.0'
        id: order-seven
        source: https://example.com/seven
        type: com.example.order.placed
        time: '2026-01-01T00:00:00Z'
        subject: seven
        datacontenttype: application/json
        dataschema: https://example.com/schemas/order
        data: { id: seven, list: [1, 2] }
        priority: high
      """

  @emit.event
  Scenario: What is not given is made: id, source and time
    Given a workflow:
      """yaml
      do:
        - tell: { emit: { event: { with: { type: com.example.told, data: '${ .n }' } } } }
      output: { as: '{ id: (.id | type), source, time: (.time | type), data }' }
      """
    And the workflow input is:
      """yaml
      n: 2
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      id: string
      source: /conformance/main/1.0.0
      time: string
      data: 2
      """

  @emit.event
  Scenario: An event by expressions
    Given a workflow:
      """yaml
      do:
        - tell:
            emit:
              event:
                with:
                  type: com.example.told
                  source: '${ "https://" + .host }'
                  time: '${ "2026-01-01T00:00:00Z" }'
                  dataschema: '${ "https://" + .host + "/schema" }'
                  data: '${ . }'
      output: { as: '{ source, time, dataschema, data }' }
      """
    And the workflow input is:
      """yaml
      host: example.com
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      source: https://example.com
      time: '2026-01-01T00:00:00Z'
      dataschema: https://example.com/schema
      data: { host: example.com }
      """

  @emit.event @negative
  Scenario: An event without a type
    Given a workflow:
      """yaml
      do:
        - tell:
            emit: { event: { with: { data: 1 } } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "type"

  @emit.event @negative
  Scenario: An event whose attribute comes out as none
    Given a workflow:
      """yaml
      do:
        - tell: { emit: { event: { with: { type: com.example.told, source: '${ 7 }' } } } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      instance: /do/0/tell
      """

  @listen.to.one
  Scenario: One event, and its data
    Given a workflow:
      """yaml
      do:
        - wait: { listen: { to: { one: { with: { type: com.example.order.paid } } } } }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.order.placed, data: { n: 0 } }
      - { type: com.example.order.paid, data: { n: 1 } }
      """
    Then the workflow should complete with output:
      """yaml
      - n: 1
      """

  @listen.read
  Scenario Outline: How events are read
    Given a workflow:
      """yaml
      do:
        - wait: { listen: { to: { one: { with: { type: com.example.order.paid } } }, read: <read> } }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.order.paid, id: '1', subject: seven, data: { n: 1 } }
      """
    Then the workflow should complete with output like:
      """yaml
      - <output>
      """

    Examples:
      | read     | output                                                                                              |
      | data     | { n: 1 }                                                                                            |
      | envelope | { specversion: '1.0', id: '1', type: com.example.order.paid, subject: seven, data: { n: 1 } }       |
      | raw      | '{"n":1}'                                                                                           |

  @listen.read @negative
  Scenario: A way to read that the language does not have
    Given a workflow:
      """yaml
      do:
        - wait:
            listen: { to: { any: [] }, read: body }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "body"

  @listen.to.any
  Scenario: Any of several events, once
    Given a workflow:
      """yaml
      do:
        - wait:
            listen:
              to:
                any:
                  - with: { type: com.example.paid }
                  - with: { type: com.example.cancelled }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.other, data: 0 }
      - { type: com.example.cancelled, data: 1 }
      """
    Then the workflow should complete with output:
      """yaml
      [1]
      """

  @listen.to.any
  Scenario: Any event at all
    Given a workflow:
      """yaml
      do:
        - wait: { listen: { to: { any: [] } } }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.whatever, data: 1 }
      """
    Then the workflow should complete with output:
      """yaml
      [1]
      """

  @listen.to.any.until
  Scenario: Any events until a condition holds
    Given a workflow:
      """yaml
      do:
        - wait:
            listen:
              to:
                any: [{ with: { type: com.example.n } }]
                until: '${ (. | length) == 2 }'
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.n, data: 1 }
      - { type: com.example.n, data: 2 }
      """
    Then the workflow should complete with output:
      """yaml
      [1, 2]
      """

  @listen.to.any.until
  Scenario Outline: Any events until other events, which are not part of the output
    Given a workflow:
      """yaml
      do:
        - wait:
            listen:
              to:
                any: [{ with: { type: com.example.n } }]
                until: { <until> }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.n, data: 1 }
      - { type: com.example.n, data: 2 }
      - { type: com.example.stop, data: 3 }
      - { type: com.example.end, data: 4 }
      """
    Then the workflow should complete with output:
      """yaml
      [1, 2]
      """

    Examples:
      | until                                                                             |
      | one: { with: { type: com.example.stop } }                                         |
      | any: [{ with: { type: com.example.end } }, { with: { type: com.example.stop } }]  |
      | all: [{ with: { type: com.example.end } }, { with: { type: com.example.stop } }]  |

  @listen.to.all
  Scenario: All of several events, in the order in which they came
    Given a workflow:
      """yaml
      do:
        - wait:
            listen:
              to:
                all:
                  - with: { type: com.example.a }
                  - with: { type: com.example.b }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.b, data: 1 }
      - { type: com.example.b, data: 2 }
      - { type: com.example.a, data: 3 }
      """
    Then the workflow should complete with output:
      """yaml
      [1, 3]
      """

  @listen.to @negative
  Scenario: To listen in two ways at once
    Given a workflow:
      """yaml
      do:
        - wait:
            listen: { to: { any: [], one: { with: { type: a } } } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "one"

  @eventFilter.with @negative
  Scenario: A filter that says nothing
    Given a workflow:
      """yaml
      do:
        - wait:
            listen: { to: { one: { with: {} } } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "with"

  @eventFilter.with
  Scenario Outline: Events are filtered by their attributes: text, pattern, expression
    Given a workflow:
      """yaml
      do:
        - wait: { listen: { to: { one: { with: { <filter> } } } } }
      """
    And the workflow input is:
      """yaml
      wanted: seven
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { id: a, type: com.example.other, source: 'https://example.com/other', subject: six, data: { n: 1 }, region: us }
      - { id: b, type: com.example.order.paid, source: 'https://example.com/orders', subject: seven, time: '2026-01-01T00:00:00Z', datacontenttype: application/json, dataschema: 'https://example.com/schema', data: { n: 7 }, region: eu }
      """
    Then the workflow should complete with output:
      """yaml
      - n: 7
      """

    Examples:
      | filter                                              |
      | id: b                                               |
      | type: com.example.order.paid                        |
      | type: 'com[.]example[.]order[.].*'                     |
      | source: https://example.com/orders                  |
      | source: '${ "https://example.com" + "/orders" }'     |
      | subject: seven                                      |
      | subject: '${ .wanted }'                             |
      | time: '2026-01-01T00:00:00Z'                        |
      | datacontenttype: application/json, subject: seven   |
      | dataschema: https://example.com/schema              |
      | region: eu                                          |
      | data: '${ .n > 5 }'                                 |
      | type: com.example.order.paid, data: '${ .n == 7 }'  |

  @correlate
  Scenario: Only events that belong together
    Given a workflow:
      """yaml
      do:
        - wait:
            listen:
              to:
                all:
                  - { with: { type: com.example.a }, correlate: { order: { from: .data.order } } }
                  - { with: { type: com.example.b }, correlate: { order: { from: .data.order } } }
            output: { as: 'map(.order)' }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.a, data: { order: 1 } }
      - { type: com.example.b, data: { order: 2 } }
      - { type: com.example.b, data: { order: 1 } }
      """
    Then the workflow should complete with output:
      """yaml
      [1, 1]
      """

  @correlate
  Scenario Outline: Only events with the value that is expected
    Given a workflow:
      """yaml
      do:
        - wait:
            listen:
              to: { one: { with: { type: com.example.paid }, correlate: { order: { from: .data.order, expect: <expect> } } } }
      """
    And the workflow input is:
      """yaml
      order: seven
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.paid, data: { order: six } }
      - { type: com.example.paid, data: { order: seven } }
      """
    Then the workflow should complete with output:
      """yaml
      - order: seven
      """

    Examples:
      | expect          |
      | seven           |
      | '${ .order }'   |

  @correlate @negative
  Scenario: A correlation from nothing
    Given a workflow:
      """yaml
      do:
        - wait:
            listen: { to: { one: { with: { type: a }, correlate: { order: { expect: 1 } } } } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "from"

  @foreach
  Scenario: Something is done for each event, in the order in which they came
    Given a workflow:
      """yaml
      do:
        - wait:
            listen:
              to: { any: [{ with: { type: com.example.n } }], until: '${ (. | length) == 2 }' }
            foreach:
              item: event
              at: i
              do:
                - mark: { set: { n: '${ $event }', at: '${ $i }' } }
              output: { as: '. + { done: true }' }
              export: { as: '$context + { last: .n }' }
      output: { as: '{ list: ., last: $context.last }' }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.n, data: 5 }
      - { type: com.example.n, data: 6 }
      """
    Then the workflow should complete with output:
      """yaml
      list:
        - { n: 5, at: 0, done: true }
        - { n: 6, at: 1, done: true }
      last: 6
      """

  @foreach
  Scenario: The event and its index have names when none are given
    Given a workflow:
      """yaml
      do:
        - wait:
            listen: { to: { one: { with: { type: com.example.n } } } }
            foreach:
              do:
                - mark: { set: { n: '${ $item }', at: '${ $index }' } }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.n, data: 5 }
      """
    Then the workflow should complete with output:
      """yaml
      - { n: 5, at: 0 }
      """

  @foreach @negative
  Scenario: What is done for an event can fail
    Given a workflow:
      """yaml
      do:
        - wait:
            listen: { to: { any: [], until: 'false' } }
            foreach:
              do:
                - fail: { raise: { error: { type: 'https://example.com/x', status: 500 } } }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.n, data: 5 }
      """
    Then the workflow should fault with error:
      """yaml
      instance: /do/0/wait/foreach/do/0/fail
      """

  @listen.to.one @task.timeout @negative
  Scenario: A listener that gives up
    Given a workflow:
      """yaml
      do:
        - wait:
            listen: { to: { one: { with: { type: com.example.never } } } }
            timeout: { after: PT0.2S }
      """
    When the workflow is executed
    Then the workflow should fault with a timeout error at "/do/0/wait"

  @listen.to.one
  Scenario: An event that comes before its listener is not lost
    Given a workflow:
      """yaml
      do:
        - ready: { listen: { to: { one: { with: { type: com.example.ready } } } } }
        - rest: { wait: PT0.3S }
        - wait: { listen: { to: { one: { with: { type: com.example.early } } } } }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.early, data: early }
      - { type: com.example.ready, data: ready }
      """
    Then the workflow should complete with output:
      """yaml
      [early]
      """

  @listen.to.one
  Scenario: A run consumes an event once
    Given a workflow:
      """yaml
      do:
        - first: { listen: { to: { one: { with: { type: com.example.n } } } } }
        - second: { listen: { to: { one: { with: { type: com.example.n } } } }, output: { as: '. + $input' } }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.n, id: '1', data: 1 }
      - { type: com.example.n, id: '1', data: 1 }
      - { type: com.example.n, id: '2', data: 2 }
      """
    Then the workflow should complete with output:
      """yaml
      [2, 1]
      """

  @emit.event @listen.to.one
  Scenario: One run tells another
    Given another workflow "teller":
      """yaml
      do:
        - tell: { emit: { event: { with: { type: com.example.told, data: { by: teller } } } } }
      """
    And a workflow:
      """yaml
      do:
        - wait: { listen: { to: { one: { with: { type: com.example.told } } } } }
      """
    When the workflow is started
    And the run is waiting
    And a run of "conformance/teller" is executed
    Then the workflow should complete with output:
      """yaml
      - by: teller
      """

  @schedule.on.one @schedule.read
  Scenario Outline: An event starts a run, and is its input
    Given a workflow:
      """yaml
      schedule: { on: { one: { with: { type: com.example.start } } }<read> }
      do:
        - look: { set: { got: '${ $workflow.input }' } }
      """
    When the workflow is deployed
    And these events arrive:
      """yaml
      - { type: com.example.other, data: { n: 0 } }
      - { type: com.example.start, id: '1', data: { n: 1 } }
      """
    Then at least 1 runs of the workflow should complete
    And the workflow should complete with output like:
      """yaml
      got: [<got>]
      """

    Examples:
      | read             | got                                          |
      |                  | { n: 1 }                                     |
      | , read: data     | { n: 1 }                                     |
      | , read: envelope | { type: com.example.start, data: { n: 1 } }  |
      | , read: raw      | '{"n":1}'                                    |

  @schedule.on.any
  Scenario: Any of several events starts a run, each its own
    Given a workflow:
      """yaml
      schedule:
        on:
          any:
            - with: { type: com.example.a }
            - with: { type: com.example.b }
      do:
        - look: { set: { got: '${ . }' } }
      """
    When the workflow is deployed
    And these events arrive:
      """yaml
      - { type: com.example.b, data: 1 }
      - { type: com.example.c, data: 2 }
      - { type: com.example.a, data: 3 }
      """
    Then 2 runs of the workflow should have completed

  @schedule.on.all
  Scenario: All of several events start one run
    Given a workflow:
      """yaml
      schedule:
        on:
          all:
            - with: { type: com.example.a }
            - with: { type: com.example.b }
      do:
        - look: { set: '${ . }' }
      """
    When the workflow is deployed
    And these events arrive:
      """yaml
      - { type: com.example.b, data: 1 }
      - { type: com.example.a, data: 2 }
      """
    Then at least 1 runs of the workflow should complete
    And the workflow should complete with output:
      """yaml
      [1, 2]
      """

  @schedule.on @negative
  Scenario: Events in a schedule that are none
    Given a workflow:
      """yaml
      schedule: { on: { some: [] } }
      do:
        - look: { set: '${ . }' }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "some"

  @emit.event @webhook
  Scenario: What is emitted reaches a webhook
    Given the webhook "hook.example.com" is told of "com.example.*"
    And a workflow:
      """yaml
      do:
        - other: { emit: { event: { with: { type: org.example.told, data: 1 } } } }
        - tell: { emit: { event: { with: { type: com.example.told, source: '/here', data: { n: 2 } } } } }
      """
    When the workflow is executed
    Then the workflow should complete
    And the service "hook.example.com" should have received:
      """yaml
      - method: POST
        headers: { content-type: application/cloudevents+json; charset=utf-8 }
        body: { specversion: '1.0', type: com.example.told, source: /here, data: { n: 2 } }
      """
