Feature: Run
  Other workflows, and commands where the operator allows them.

  @run.workflow
  Scenario: Another workflow, with its input and its output
    Given another workflow "double":
      """yaml
      input: { schema: { document: { required: [n] } } }
      do:
        - compute: { set: { doubled: '${ .n * 2 }' } }
      """
    And a workflow:
      """yaml
      do:
        - sub: { run: { workflow: { namespace: conformance, name: double, version: '1.0.0', input: { n: '${ .n }' } } } }
      """
    And the workflow input is:
      """yaml
      n: 4
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      doubled: 8
      """

  @run.workflow
  Scenario: The latest version of another workflow
    Given another workflow "double":
      """yaml
      do:
        - compute: { set: { doubled: true } }
      """
    And a workflow:
      """yaml
      do:
        - sub: { run: { workflow: { namespace: conformance, name: double, version: latest } } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      doubled: true
      """

  @run.await
  Scenario: Another workflow that is not waited for
    Given another workflow "slow":
      """yaml
      do:
        - rest: { wait: PT1H }
      """
    And a workflow:
      """yaml
      do:
        - sub:
            run:
              workflow: { namespace: conformance, name: slow, version: '1.0.0', input: { a: 1 } }
              await: false
      """
    And the workflow input is:
      """yaml
      n: 4
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 4
      """

  @run.workflow @negative
  Scenario: Another workflow that faults
    Given another workflow "broken":
      """yaml
      do:
        - fail: { raise: { error: { type: 'https://example.com/x', status: 418, title: Teapot } } }
      """
    And a workflow:
      """yaml
      do:
        - attempt:
            try:
              - sub: { run: { workflow: { namespace: conformance, name: broken, version: '1.0.0' } } }
            catch:
              errors: { with: { status: 418 } }
              do:
                - handle: { set: { title: '${ $error.title }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      title: Teapot
      """

  @run.workflow @run.return
  Scenario Outline: What another workflow gives
    Given another workflow "sub":
      """yaml
      do:
        - judge:
            if: ${ .bad }
            raise: { error: { type: 'https://example.com/x', status: 418, title: Teapot } }
        - say: { set: { said: hello } }
      """
    And a workflow:
      """yaml
      do:
        - sub:
            run:
              workflow: { namespace: conformance, name: sub, version: '1.0.0', input: { bad: '${ .bad }' } }
              return: <return>
      """
    And the workflow input is:
      """yaml
      bad: <bad>
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      <output>
      """

    Examples:
      | return | bad   | output                                                                         |
      | stdout | false | { said: hello }                                                                |
      | stderr | false | ''                                                                             |
      | code   | false | 0                                                                              |
      | all    | false | { code: 0, stdout: { said: hello }, stderr: '' }                               |
      | none   | false | null                                                                           |
      | code   | true  | 418                                                                            |
      | all    | true  | { code: 418, stdout: null, stderr: Teapot (418) }                             |

  @run.workflow @run.return @negative
  Scenario: A fault is an error where the exit code is not asked for
    Given another workflow "broken":
      """yaml
      do:
        - fail: { raise: { error: { type: 'https://example.com/x', status: 418, title: Teapot } } }
      """
    And a workflow:
      """yaml
      do:
        - sub: { run: { workflow: { namespace: conformance, name: broken, version: '1.0.0' }, return: stderr } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      status: 418
      """

  @run.workflow @negative
  Scenario: Another workflow whose input does not fit
    Given another workflow "double":
      """yaml
      input: { schema: { document: { required: [n] } } }
      do:
        - compute: { set: { doubled: '${ .n * 2 }' } }
      """
    And a workflow:
      """yaml
      do:
        - sub: { run: { workflow: { namespace: conformance, name: double, version: '1.0.0', input: { m: 1 } } } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://open-workflow-specification.org/spec/1.0.0/errors/validation
      """

  @run.workflow @negative
  Scenario: Another workflow without a name
    Given a workflow:
      """yaml
      do:
        - sub:
            run: { workflow: { namespace: conformance, version: '1.0.0' } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "name"

  @run.workflow @cancel
  Scenario: A cancelled run cancels the runs that it waits for
    Given another workflow "slow":
      """yaml
      do:
        - rest: { wait: PT1H }
      """
    And a workflow:
      """yaml
      do:
        - sub: { run: { workflow: { namespace: conformance, name: slow, version: '1.0.0' } } }
      """
    When the workflow is started
    And a run of the workflow "slow" is waiting
    And the run is cancelled by a person
    Then the workflow should be cancelled
    And a run of the workflow "slow" should be cancelled

  @run.shell
  Scenario: A command with arguments, environment and standard input
    Given a workflow:
      """yaml
      do:
        - shell:
            run:
              shell:
                command: 'cat; echo "$1 $2 $WHO"'
                stdin: '${ .text }'
                arguments: [one, '${ .second }']
                environment: { WHO: '${ .who }' }
      """
    And the workflow input is:
      """yaml
      text: "in "
      second: $(two)
      who: Ann
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      "in one $(two) Ann\n"
      """

  @run.return
  Scenario Outline: What a command gives
    Given a workflow:
      """yaml
      do:
        - shell: { run: { shell: { command: 'echo out; echo err >&2' }, return: <return> } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      <output>
      """

    Examples:
      | return | output                                      |
      | stdout | "out\\n"                                    |
      | stderr | "err\\n"                                    |
      | code   | 0                                           |
      | all    | { code: 0, stdout: "out\\n", stderr: "err\\n" } |
      | none   | null                                        |

  @run.return
  Scenario: The exit code of a command that fails
    Given a workflow:
      """yaml
      do:
        - shell: { run: { shell: { command: exit 3 }, return: code } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      3
      """

  @run.shell @negative
  Scenario: A command that takes too long
    Given a workflow:
      """yaml
      do:
        - shell: { run: { shell: { command: sleep 60 } }, timeout: { after: PT0.3S } }
      """
    When the workflow is executed
    Then the workflow should fault with a timeout error at "/do/0/shell"

  @run.shell @negative
  Scenario: Commands are refused where the operator does not allow them
    Given a server with the configuration:
      """yaml
      # nothing is allowed
      """
    And a workflow:
      """yaml
      do:
        - shell:
            run: { shell: { command: echo hello } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "shell"

  @run.return @negative
  Scenario: A result that the language does not have
    Given a workflow:
      """yaml
      do:
        - shell:
            run: { shell: { command: echo hello }, return: everything }
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "everything"

  @run @negative
  Scenario Outline: What is left for later is refused by its name
    Given a workflow:
      """yaml
      do:
        - process:
            <task>
      """
    When the workflow is deployed
    Then the definition should be refused at line 3 saying "<name>"

    Examples:
      | task                                                  | name      |
      | run: { container: { image: alpine } }                 | container |
      | run: { script: { language: js, code: '1' } }          | script    |
      | call: grpc                                            | grpc      |
      | call: asyncapi                                        | asyncapi  |
      | call: a2a                                             | a2a       |
      | call: mcp                                             | mcp       |
