@alone
Feature: Schedules
  Runs that time starts.

  @schedule.every
  Scenario: At an interval, whatever the run before does
    Given a workflow:
      """yaml
      schedule: { every: { milliseconds: 300 } }
      do:
        - say: { set: { started: '${ $workflow.startedAt.iso8601 != null }' } }
      """
    When the workflow is deployed
    Then at least 2 runs of the workflow should complete

  @schedule.after
  Scenario: Some time after the run before has ended
    Given a workflow:
      """yaml
      schedule: { after: PT0.3S }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then at least 2 runs of the workflow should complete

  @schedule.after
  Scenario: Some months after the run before has ended
    Given a workflow:
      """yaml
      schedule: { after: P1M }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then at least 1 runs of the workflow should complete

  @schedule.cron
  Scenario: By a cron expression with seconds
    Given a workflow:
      """yaml
      schedule: { cron: '* * * * * *' }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then at least 2 runs of the workflow should complete

  @schedule.cron @negative
  Scenario: A cron expression that is none
    Given a workflow:
      """yaml
      schedule: { cron: every day }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "cron"

  @schedule.every @negative
  Scenario: An interval that is none
    Given a workflow:
      """yaml
      schedule: { every: often }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "often"

  @schedule.read @negative
  Scenario: A way to read events without events
    Given a workflow:
      """yaml
      schedule: { every: PT1H, read: data }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "read"

  @schedule @negative
  Scenario: A schedule that says nothing
    Given a workflow:
      """yaml
      schedule: {}
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "schedule"
