Feature: The life of a run
  Its status, and what a person can do to it.

  @status @cancel
  Scenario: A run that waits is cancelled
    Given a workflow:
      """yaml
      do:
        - outer:
            do:
              - rest: { wait: PT1H }
        - never: { set: { never: true } }
      """
    When the workflow is started
    And the run is waiting
    And the run is cancelled by a person
    Then the workflow should be cancelled
    And these tasks should have cancelled: rest, outer
    And never should not run

  @cancel
  Scenario: A cancelled run is not caught
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - rest: { wait: PT1H }
            catch:
              do:
                - never: { set: { never: true } }
      """
    When the workflow is started
    And the run is waiting
    And the run is cancelled by a person
    Then the workflow should be cancelled
    And never should not run

  @status @suspend @resume
  Scenario: A run that is suspended goes on when it is resumed
    Given a workflow:
      """yaml
      do:
        - rest: { wait: PT0.3S }
        - done: { set: { done: true } }
      """
    When the workflow is started
    And the run is suspended by a person
    And the run is suspended
    And 400 milliseconds pass
    Then the run should be suspended
    When the run is resumed by a person
    Then the workflow should complete with output:
      """yaml
      done: true
      """

  @suspend @cancel
  Scenario: A suspended run can be cancelled
    Given a workflow:
      """yaml
      do:
        - rest: { wait: PT1H }
      """
    When the workflow is started
    And the run is suspended by a person
    And the run is suspended
    And the run is cancelled by a person
    Then the workflow should be cancelled

  @cancel @negative
  Scenario: A run that has ended cannot be cancelled
    Given a workflow:
      """yaml
      do:
        - done: { set: { done: true } }
      """
    When the workflow is executed
    Then the workflow should complete
    And a person should not be able to cancel the run

  @resume @negative
  Scenario: A run that is not suspended cannot be resumed
    Given a workflow:
      """yaml
      do:
        - rest: { wait: PT1H }
      """
    When the workflow is started
    And the run is waiting
    Then a person should not be able to resume the run
