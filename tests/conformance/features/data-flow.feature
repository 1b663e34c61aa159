Feature: Data flow
  Data go through the input of the workflow, through each task's input, output and export, and through the output of the workflow.

  @input.schema @input.from @output.as @output.schema
  Scenario: The workflow's input and output are validated and transformed
    Given a workflow:
      """yaml
      input:
        schema: { format: json, document: { type: object, required: [order] } }
        from: .order
      do:
        - look: { set: { got: '${ . }' } }
      output:
        as: { total: '${ .got.items | add }' }
        schema: { document: { type: object, properties: { total: { type: integer } }, required: [total] } }
      """
    And the workflow input is:
      """yaml
      order: { items: [1, 2, 3] }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      total: 6
      """

  @input.schema @negative
  Scenario: An input that does not fit its schema
    Given a workflow:
      """yaml
      input: { schema: { document: { type: object, required: [order] } } }
      do:
        - look: { set: { ok: true } }
      """
    And the workflow input is:
      """yaml
      cart: 1
      """
    When the workflow is executed
    Then the start should be refused saying "order"

  @output.schema @negative
  Scenario: An output of the workflow that does not fit its schema
    Given a workflow:
      """yaml
      do:
        - look: { set: { total: many } }
      output: { schema: { document: { properties: { total: { type: integer } } } } }
      """
    When the workflow is executed
    Then the workflow should fault with a validation error at "/output"

  @input.from @negative
  Scenario: A transformation of the workflow's input that fails
    Given a workflow:
      """yaml
      input: { from: '.a.b' }
      do:
        - look: { set: { ok: true } }
      """
    And the workflow input is:
      """yaml
      a: text
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/input"

  @task.input.schema @task.input.from
  Scenario: A task's raw input is validated, then transformed
    Given a workflow:
      """yaml
      do:
        - take:
            input:
              schema: { document: { type: object, required: [name] } }
              from: { who: '${ .name }' }
            set: { hello: '${ .who }', raw: '${ $task.input.name }', transformed: '${ $input.who }' }
      """
    And the workflow input is:
      """yaml
      name: Ann
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      hello: Ann
      raw: Ann
      transformed: Ann
      """

  @task.input.schema @negative
  Scenario: A task's input that does not fit its schema
    Given a workflow:
      """yaml
      do:
        - take:
            input: { schema: { document: { type: object, required: [name] } } }
            set: { ok: true }
      """
    When the workflow is executed
    Then the workflow should fault with a validation error at "/do/0/take"

  @task.output.as @task.output.schema
  Scenario: A task's output is transformed, then validated
    Given a workflow:
      """yaml
      do:
        - give:
            set: { a: 1, b: 2 }
            output:
              as: { sum: '${ .a + .b }', was: '${ $task.output }' }
              schema: { document: { required: [sum] } }
        - next: { set: { got: '${ .sum }', was: '${ .was.b }' } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      got: 3
      was: 2
      """

  @task.output.schema @negative
  Scenario: A task's output that does not fit its schema
    Given a workflow:
      """yaml
      do:
        - give:
            set: { a: 1 }
            output: { schema: { document: { required: [b] } } }
      """
    When the workflow is executed
    Then the workflow should fault with a validation error at "/do/0/give"

  @task.export.as @task.export.schema @context
  Scenario: What is exported is the context of the tasks that follow
    Given a workflow:
      """yaml
      do:
        - first:
            set: { a: 1 }
            export: { as: '$context + { first: .a }', schema: { document: { required: [first] } } }
        - second:
            set: { b: 2 }
            export: { as: { first: '${ $context.first }', second: '${ .b }', output: '${ $output.b }' } }
        - third: { set: '${ $context }' }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      first: 1
      second: 2
      output: 2
      """

  @context
  Scenario: The first context is the workflow's transformed input
    Given a workflow:
      """yaml
      input: { from: .order }
      do:
        - first: { set: { seen: '${ $context.id }' } }
      output: { as: { seen: '${ .seen }', context: '${ $context }' } }
      """
    And the workflow input is:
      """yaml
      order: { id: 7 }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      seen: 7
      context: { id: 7 }
      """

  @task.export.schema @negative
  Scenario: An exported context that does not fit its schema
    Given a workflow:
      """yaml
      do:
        - first:
            set: { a: 1 }
            export: { as: '{ b: .a }', schema: { document: { required: [c] } } }
      """
    When the workflow is executed
    Then the workflow should fault with a validation error at "/do/0/first"

  @task.export.as @negative
  Scenario: An export that cannot be evaluated
    Given a workflow:
      """yaml
      do:
        - first: { set: { a: 1 }, export: { as: '.a.b' } }
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/do/0/first"

  @schema.format @negative
  Scenario: A schema in a format that is not known
    Given a workflow:
      """yaml
      input:
        schema: { format: avro, document: {} }
      do:
        - first: { set: { a: 1 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 2 saying "avro"

  @schema @negative
  Scenario: A schema that is none
    Given a workflow:
      """yaml
      input:
        schema: { document: { type: nothing } }
      do:
        - first: { set: { a: 1 } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 2 saying "schema"

  @task.if
  Scenario: A task whose condition does not hold is skipped, and its input is its output
    Given a workflow:
      """yaml
      do:
        - yes: { if: .age > 17, set: { age: '${ .age }', adult: true } }
        - no: { if: '${ .age < 18 }', set: { child: true }, export: { as: '{ never: true }' } }
        - last: { set: { got: '${ . }', context: '${ $context }' } }
      """
    And the workflow input is:
      """yaml
      age: 20
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      got: { age: 20, adult: true }
      context: { age: 20 }
      """
    And these tasks should have skipped: no

  @task.if
  Scenario: The condition is tested on the raw input, before anything else
    Given a workflow:
      """yaml
      do:
        - no:
            if: .name != null
            input: { from: .name.first, schema: { document: { required: [name] } } }
            set: { a: 1 }
      """
    And the workflow input is:
      """yaml
      other: 1
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      other: 1
      """

  @task.if @negative
  Scenario: A condition that cannot be evaluated
    Given a workflow:
      """yaml
      do:
        - maybe: { if: .a.b, set: { a: 1 } }
      """
    And the workflow input is:
      """yaml
      a: text
      """
    When the workflow is executed
    Then the workflow should fault with an expression error at "/do/0/maybe"

  @task.metadata
  Scenario: A task's metadata are there to be read
    Given a workflow:
      """yaml
      do:
        - look: { set: { owner: '${ $task.definition.metadata.owner }' }, metadata: { owner: Ann } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      owner: Ann
      """

  @task.metadata @negative
  Scenario: Metadata that are no object
    Given a workflow:
      """yaml
      do:
        - look:
            set: { a: 1 }
            metadata: text
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "metadata"
