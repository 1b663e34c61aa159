Feature: Lifecycle events
  What becomes of runs and of their tasks is told by events, to who asks for them.

  @lifecycle
  Scenario: The life of a run and of its tasks is told by events
    Given the webhook "hook.example.com" is told of "io.serverlessworkflow.*"
    And a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fail: { raise: { error: { type: 'https://example.com/x', status: 500 } } }
            catch:
              retry: { delay: PT0.01S, limit: { attempt: { count: 1 } } }
              do:
                - handle: { set: { handled: true } }
      """
    When the workflow is executed
    Then the workflow should complete
    And these events of type "io.serverlessworkflow.workflow.started.v1" should be in the stream:
      """yaml
      - data: { definition: { namespace: conformance, name: main, version: '1.0.0' } }
      """
    And 1 event of type "io.serverlessworkflow.workflow.completed.v1" should be in the stream
    And 4 events of type "io.serverlessworkflow.task.created.v1" should be in the stream
    And 4 events of type "io.serverlessworkflow.task.started.v1" should be in the stream
    And these events of type "io.serverlessworkflow.task.retried.v1" should be in the stream:
      """yaml
      - data: { task: /do/0/attempt }
      """
    And 2 events of type "io.serverlessworkflow.task.faulted.v1" should be in the stream
    And 2 events of type "io.serverlessworkflow.task.completed.v1" should be in the stream

  @lifecycle @negative
  Scenario: A run that faults is told by an event with its error
    Given the webhook "hook.example.com" is told of "io.serverlessworkflow.*"
    And a workflow:
      """yaml
      do:
        - fail: { raise: { error: { type: 'https://example.com/x', status: 500 } } }
      """
    When the workflow is executed
    Then the workflow should fault
    And these events of type "io.serverlessworkflow.workflow.faulted.v1" should be in the stream:
      """yaml
      - data: { error: { type: 'https://example.com/x', status: 500 } }
      """
    And these events of type "io.serverlessworkflow.task.faulted.v1" should be in the stream:
      """yaml
      - data: { task: /do/0/fail, error: { type: 'https://example.com/x', status: 500 } }
      """

  @lifecycle
  Scenario: What a person does to a run is told by events
    Given the webhook "hook.example.com" is told of "io.serverlessworkflow.*"
    And a workflow:
      """yaml
      do:
        - rest: { wait: PT1H }
      """
    When the workflow is started
    And the run is waiting
    And the run is suspended by a person
    And the run is suspended
    And the run is resumed by a person
    And the run is waiting
    And the run is cancelled by a person
    Then the workflow should be cancelled
    And 1 event of type "io.serverlessworkflow.workflow.suspended.v1" should be in the stream
    And 1 event of type "io.serverlessworkflow.workflow.resumed.v1" should be in the stream
    And 1 event of type "io.serverlessworkflow.workflow.cancelled.v1" should be in the stream
    And 1 event of type "io.serverlessworkflow.task.cancelled.v1" should be in the stream

  @lifecycle @correlate
  Scenario: The correlation of events is told by events
    Given the webhook "hook.example.com" is told of "io.serverlessworkflow.*"
    And a workflow:
      """yaml
      do:
        - wait:
            listen: { to: { one: { with: { type: com.example.paid }, correlate: { order: { from: .data.order } } } } }
      """
    When the workflow is started
    And the run is waiting
    And these events arrive:
      """yaml
      - { type: com.example.paid, data: { order: seven } }
      """
    Then the workflow should complete
    And 1 event of type "io.serverlessworkflow.workflow.correlation-started.v1" should be in the stream
    And these events of type "io.serverlessworkflow.workflow.correlation-completed.v1" should be in the stream:
      """yaml
      - data: { correlationKeys: { order: seven } }
      """
