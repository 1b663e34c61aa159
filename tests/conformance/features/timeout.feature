Feature: Timeouts
  A task or a workflow that takes longer than it may ends with a timeout error.

  @task.timeout
  Scenario: A task in time
    Given a workflow:
      """yaml
      do:
        - rest: { wait: { milliseconds: 10 }, timeout: { after: { seconds: 30 } } }
        - done: { set: { done: true } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      done: true
      """

  @task.timeout @negative
  Scenario: A task that takes too long
    Given a workflow:
      """yaml
      do:
        - rest: { wait: { hours: 1 }, timeout: { after: { milliseconds: 50 } } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
      status: 408
      instance: /do/0/rest
      """

  @task.timeout
  Scenario: A timeout is an error that can be caught
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - outer:
                  do:
                    - rest: { wait: PT1H }
                  timeout: { after: PT0.05S }
            catch:
              errors: { with: { type: 'https://open-workflow-specification.org/spec/1.0.0/errors/timeout' } }
              do:
                - handle: { set: { late: '${ $error.instance }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      late: /do/0/attempt/try/0/outer
      """
    And these tasks should have cancelled: rest

  @task.timeout @use.timeouts
  Scenario: A task's timeout by its name
    Given a workflow:
      """yaml
      use: { timeouts: { brief: { after: { milliseconds: 50 } } } }
      do:
        - attempt:
            try:
              - rest: { wait: PT1H, timeout: brief }
            catch:
              do:
                - handle: { set: { status: '${ $error.status }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      status: 408
      """

  @task.timeout
  Scenario: A timeout by an expression
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - rest: { wait: PT1H, timeout: { after: '${ .limit }' } }
            catch:
              do:
                - handle: { set: { status: '${ $error.status }' } }
      """
    And the workflow input is:
      """yaml
      limit: PT0.05S
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      status: 408
      """

  @task.timeout @use.timeouts @negative
  Scenario: A timeout by a name that does not exist
    Given a workflow:
      """yaml
      do:
        - rest:
            wait: PT1S
            timeout: brief
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "brief"

  @task.timeout @negative
  Scenario: A timeout without its duration
    Given a workflow:
      """yaml
      do:
        - rest:
            wait: PT1S
            timeout: {}
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "after"

  @workflow.timeout
  Scenario: A workflow in time
    Given a workflow:
      """yaml
      timeout: { after: PT30S }
      do:
        - rest: { wait: PT0.01S }
      """
    When the workflow is executed
    Then the workflow should complete

  @workflow.timeout @negative
  Scenario: A workflow that takes too long
    Given a workflow:
      """yaml
      timeout: { after: { milliseconds: 100 } }
      do:
        - attempt:
            try:
              - rest: { wait: PT1H }
            catch:
              do:
                - never: { set: { never: true } }
      """
    When the workflow is executed
    Then the workflow should fault with a timeout error at "/timeout"
    And never should not run

  @workflow.timeout @use.timeouts @negative
  Scenario: The workflow's timeout by its name
    Given a workflow:
      """yaml
      use: { timeouts: { brief: { after: PT0.1S } } }
      timeout: brief
      do:
        - rest: { wait: PT1H }
      """
    When the workflow is executed
    Then the workflow should fault with a timeout error at "/timeout"
