Feature: Try and catch
  Errors are caught by what they are, handled, and tried again.

  @try @catch.as @catch.do
  Scenario: A caught error is a variable of what handles it
    Given a workflow:
      """yaml
      use: { errors: { teapot: { type: 'https://example.com/errors/teapot', status: 418, title: Teapot } } }
      do:
        - attempt:
            try:
              - fail: { raise: { error: teapot } }
              - never: { set: { never: true } }
            catch:
              as: problem
              do:
                - handle: { set: { status: '${ $problem.status }', at: '${ $problem.instance }' } }
        - next: { set: { caught: '${ . }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      caught: { status: 418, at: /do/0/attempt/try/0/fail }
      """

  @catch.as
  Scenario: The error is called error when it is not named
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fail: { raise: { error: { type: 'https://example.com/x', status: 500 } } }
            catch:
              do:
                - handle: { set: { type: '${ $error.type }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      type: https://example.com/x
      """

  @try
  Scenario: Without an error nothing is caught
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fine: { set: { n: 1 } }
              - also: { set: { n: '${ .n + 1 }' } }
            catch:
              do:
                - handle: { set: { n: -1 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 2
      """

  @catch.errors
  Scenario Outline: An error is caught by each of its members
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fail:
                  raise:
                    error: { type: 'https://example.com/errors/a', status: 418, title: Teapot, detail: Short and stout }
            catch:
              errors: { with: { <member> } }
              do:
                - handle: { set: { caught: true } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      caught: true
      """

    Examples:
      | member                                                               |
      | type: 'https://example.com/errors/a'                                 |
      | status: 418                                                          |
      | title: Teapot                                                        |
      | detail: Short and stout                                              |
      | instance: /do/0/attempt/try/0/fail                                   |
      | status: 418, title: Teapot, type: 'https://example.com/errors/a'     |

  @catch.errors @negative
  Scenario Outline: An error that differs in a member is not caught
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fail:
                  raise:
                    error: { type: 'https://example.com/errors/a', status: 418, title: Teapot, detail: Short and stout }
            catch:
              errors: { with: { <member> } }
              do:
                - handle: { set: { caught: true } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      status: 418
      instance: /do/0/attempt/try/0/fail
      """

    Examples:
      | member                                 |
      | type: 'https://example.com/errors/b'   |
      | status: 500                            |
      | title: Cup                             |
      | detail: Tall                           |
      | instance: /do/0/attempt/try/1/fail     |
      | status: 418, title: Cup                |

  @catch.errors
  Scenario Outline: Standard types are the same type in their older spellings
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fail: { set: { n: '${ 1 | .a }' } }
            catch:
              errors: { with: { type: '<type>' } }
              do:
                - handle: { set: { caught: true } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      caught: true
      """

    Examples:
      | type                                                                   |
      | https://open-workflow-specification.org/spec/1.0.0/errors/expression   |
      | https://serverlessworkflow.io/spec/1.0.0/errors/expression             |
      | https://serverlessworkflow.io/dsl/errors/types/expression              |
      | https://open-workflow-specification.org/dsl/errors/types/expression    |

  @catch.when @catch.exceptWhen
  Scenario Outline: An error is caught by conditions on it
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fail: { raise: { error: { type: 'https://example.com/a', status: 500 } } }
            catch:
              <condition>
              do:
                - handle: { set: { caught: true } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      caught: true
      """

    Examples:
      | condition                             |
      | when: $error.status == 500            |
      | when: '${ $error.status == 500 }'     |
      | exceptWhen: $error.status == 404      |

  @catch.when @catch.exceptWhen @negative
  Scenario Outline: An error that a condition excludes is not caught
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fail: { raise: { error: { type: 'https://example.com/a', status: 500 } } }
            catch:
              <condition>
              do:
                - handle: { set: { caught: true } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      status: 500
      """

    Examples:
      | condition                             |
      | when: $error.status == 404            |
      | exceptWhen: $error.status == 500      |

  @catch.then
  Scenario: After the handling a run goes where the catch says
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fail: { raise: { error: { type: 'https://example.com/a', status: 500 } } }
            catch:
              do:
                - handle: { set: { handled: true } }
              then: recover
            then: never
        - never: { set: { never: true } }
        - recover: { set: { recovered: '${ .handled }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      recovered: true
      """
    And never should not run

  @catch.then
  Scenario: Without an error a run goes where the task says
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fine: { set: { n: 1 } }
            catch: { then: recover }
            then: usual
        - recover: { set: { recovered: true }, then: end }
        - usual: { set: { usual: '${ .n }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      usual: 1
      """

  @catch.then @negative
  Scenario: A catch that directs to a task that does not exist
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fine: { set: { n: 1 } }
            catch:
              then: nowhere
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "nowhere"

  @catch.do @negative
  Scenario: An error of the handling is not caught by its own catch
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fail: { raise: { error: { type: 'https://example.com/a', status: 500 } } }
            catch:
              do:
                - worse: { raise: { error: { type: 'https://example.com/b', status: 501 } } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      status: 501
      instance: /do/0/attempt/catch/do/0/worse
      """

  @try
  Scenario: The nearest catch that fits takes the error
    Given a workflow:
      """yaml
      do:
        - outer:
            try:
              - inner:
                  try:
                    - fail: { raise: { error: { type: 'https://example.com/a', status: 500 } } }
                  catch:
                    errors: { with: { status: 404 } }
                    do:
                      - wrong: { set: { by: inner } }
            catch:
              do:
                - right: { set: { by: outer } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      by: outer
      """
    And wrong should not run

  @try @negative
  Scenario: A try without a catch
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fine: { set: { n: 1 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "catch"

  @catch.errors @negative
  Scenario: A filter without a member
    Given a workflow:
      """yaml
      do:
        - attempt:
            try:
              - fine: { set: { n: 1 } }
            catch:
              errors: { with: {} }
      """
    When the workflow is deployed
    Then the definition should be refused at line 6 saying "with"
