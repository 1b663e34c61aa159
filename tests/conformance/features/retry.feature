Feature: Retry
  What failed is tried again: after a delay, with a backoff and jitter, within limits, under conditions.

  Background:
    Given the service "shop.example.com" answers:
      """yaml
      GET /flaky:
        - { status: 503 }
        - { status: 503 }
        - { json: { ok: true } }
      GET /broken: { status: 503 }
      GET /missing: { status: 404 }
      GET /slow:
        - { delay: 5000, json: { ok: false } }
        - { json: { ok: true } }
      GET /later:
        - { status: 429, headers: { retry-after: '1' } }
        - { json: { ok: true } }
      """

  @retry.delay @retry.limit.attempt.count @retry.backoff
  Scenario Outline: With every backoff
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/flaky' } }
            catch:
              errors: { with: { status: 503 } }
              retry:
                delay: { milliseconds: 100 }
                backoff: <backoff>
                limit: { attempt: { count: 5 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """
    And ask should run 3 times
    And these tasks should have retried: attempt, attempt
    And it should have taken at least <ms> milliseconds

    Examples:
      | backoff           | ms  |
      | { constant: {} }  | 200 |
      | { linear: {} }    | 300 |
      | { exponential: {} } | 300 |

  @retry.jitter
  Scenario: With jitter added to the delay
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/flaky' } }
            catch:
              retry:
                delay: PT0.05S
                jitter: { from: { milliseconds: 100 }, to: { milliseconds: 150 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """
    And it should have taken at least 300 milliseconds

  @retry @use.retries
  Scenario: By the name of a policy
    Given a workflow:
      """yaml
      use:
        retries:
          patient:
            delay: { milliseconds: 20 }
            backoff: { linear: {} }
            limit: { attempt: { count: 5, duration: PT5S }, duration: PT10S }
            jitter: { from: PT0S, to: PT0.01S }
            when: $error.status == 503
            exceptWhen: $error.status == 404
      do:
        - attempt:
            try:
              - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/flaky' } }
            catch: { retry: patient }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """

  @retry @use.retries @negative
  Scenario: By the name of a policy that does not exist
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { set: { n: 1 } }
            catch:
              retry: patient
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "patient"

  @retry.limit.attempt.count @negative
  Scenario: The limit of attempts counts retries
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/broken' } }
            catch:
              retry: { delay: { milliseconds: 10 }, limit: { attempt: { count: 2 } } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      status: 503
      """
    And ask should run 3 times

  @retry.limit.attempt.count @catch.do
  Scenario: When the policy gives up the error is handled
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/broken' } }
            catch:
              retry: { delay: { milliseconds: 10 }, limit: { attempt: { count: 1 } } }
              do:
                - handle: { set: { gave: up } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      gave: up
      """
    And ask should run 2 times

  @retry.limit.duration @negative
  Scenario: The limit of all attempts together
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/broken' } }
            catch:
              retry: { delay: { milliseconds: 150 }, limit: { duration: { milliseconds: 400 } } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      status: 503
      """
    And it should have taken less than 3000 milliseconds

  @retry.limit.attempt.duration
  Scenario: The limit of one attempt
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/slow' } }
            catch:
              retry: { delay: { milliseconds: 10 }, limit: { attempt: { count: 2, duration: { milliseconds: 400 } } } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """
    And it should have taken less than 4500 milliseconds

  @retry.when @retry.exceptWhen @negative
  Scenario Outline: An error that the policy excludes is not tried again
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/missing' } }
            catch:
              retry:
                delay: { milliseconds: 10 }
                limit: { attempt: { count: 3 } }
                <condition>
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      status: 404
      """
    And ask should run 1 times

    Examples:
      | condition                        |
      | when: $error.status == 503       |
      | exceptWhen: $error.status == 404 |

  @retry
  Scenario: Retry-After is honoured
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { call: http, with: { method: get, endpoint: 'https://shop.example.com/later' } }
            catch:
              retry: { delay: { milliseconds: 10 }, limit: { attempt: { count: 3 } } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ok: true
      """
    And it should have taken at least 1000 milliseconds

  @retry.backoff @negative
  Scenario: Two backoffs
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { set: { n: 1 } }
            catch:
              retry: { backoff: { constant: {}, linear: {} } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "backoff"

  @retry.jitter @negative
  Scenario: Jitter without an end
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { set: { n: 1 } }
            catch:
              retry: { jitter: { from: PT1S } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "to"

  @retry.delay @negative
  Scenario: A delay that is none
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - ask: { set: { n: 1 } }
            catch:
              retry: { delay: soon }
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "soon"
