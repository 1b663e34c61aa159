Feature: Document
  A workflow says who it is, in which language it is written, and what it does.

  @document @document.title @document.summary @document.tags @document.metadata
  Scenario: A document with everything that it may have
    Given a workflow:
      """yaml
      document:
        dsl: '1.0.3'
        namespace: conformance
        name: everything
        version: 1.2.3-beta.1+build.5
        title: Everything
        summary: |
          # Everything
          that a document may have.
        tags: { team: pets, urgent: true }
        metadata: { owner: { name: Ann } }
      do:
        - look: { set: '${ $workflow.definition.document }' }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      dsl: '1.0.3'
      namespace: conformance
      name: everything
      version: 1.2.3-beta.1+build.5
      title: Everything
      summary: |
        # Everything
        that a document may have.
      tags: { team: pets, urgent: true }
      metadata: { owner: { name: Ann } }
      """

  @document.dsl
  Scenario Outline: Earlier versions of the language
    Given a workflow:
      """yaml
      document: { dsl: '<dsl>', namespace: conformance, name: main, version: '1.0.0' }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is executed
    Then the workflow should complete

    Examples:
      | dsl   |
      | 1.0.0 |
      | 1.0.1 |
      | 1.0.2 |

  @document.dsl @negative
  Scenario: A version of the language that is not known
    Given a workflow:
      """yaml
      document: { dsl: '2.0.0', namespace: conformance, name: main, version: '1.0.0' }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "2.0.0"

  @document.namespace @negative
  Scenario: A namespace that is no label
    Given a workflow:
      """yaml
      document: { dsl: '1.0.3', namespace: no_label, name: main, version: '1.0.0' }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "namespace"

  @document.name @negative
  Scenario: A name that is no label
    Given a workflow:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: -main-, version: '1.0.0' }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "name"

  @document.version @negative
  Scenario: A version that is not semantic
    Given a workflow:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: main, version: '1.0' }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "version"

  @document @negative
  Scenario: A document without what it must have
    Given a workflow:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, version: '1.0.0' }
      do:
        - say: { set: { ok: true } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "name"

  @document @negative
  Scenario: A property that the language does not have
    Given a workflow:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: main, version: '1.0.0' }
      do:
        - say: { set: { ok: true } }
      outputs: { as: .ok }
      """
    When the workflow is deployed
    Then the definition should be refused at line 4 saying "outputs"

  @do @negative
  Scenario: A workflow without tasks
    Given a workflow:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: main, version: '1.0.0' }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "do"

  @evaluate.language @evaluate.mode
  Scenario: The language of expressions, said explicitly
    Given a workflow:
      """yaml
      evaluate: { language: jq, mode: strict }
      do:
        - say: { set: { a: '${ 1 + 1 }', b: 1 + 1 } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      a: 2
      b: 1 + 1
      """

  @evaluate.language @negative
  Scenario: Another language of expressions
    Given a workflow:
      """yaml
      evaluate: { language: js }
      do:
        - say: { set: { a: '${ 1 + 1 }' } }
      """
    When the workflow is deployed
    Then the definition should be refused at line 1 saying "js"
