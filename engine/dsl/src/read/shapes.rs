//! The shapes of the calls, processes, events and credentials that the model keeps as JSON, member for member as in the schema.

use super::{
    Reader,
    shape::{ObjectShape, Shape},
};
use crate::{
    model::{AuthenticationScheme, RunProcess},
    yaml::Node,
};

use Shape::{
    Any, Authentication, Duration, Endpoint, Export, Expression, Host, Integer, List, Map, Object, Output, Resource,
    Tasks, Text, TextOrObject, TimeOrExpression, Uri, UriOrExpression, Variable, Words,
};

pub(super) static GRPC: ObjectShape = ObjectShape::closed(
    &[
        ("proto", Resource),
        ("service", Object(&GRPC_SERVICE)),
        ("method", Text),
        ("arguments", Map(&Any)),
    ],
    &["proto", "service", "method"],
);

static GRPC_SERVICE: ObjectShape = ObjectShape::closed(
    &[
        ("name", Text),
        ("host", Host),
        ("port", Integer(0, 65535)),
        ("authentication", Authentication),
    ],
    &["name", "host"],
);

pub(super) static ASYNCAPI: ObjectShape = ObjectShape {
    members: &[
        ("document", Resource),
        ("channel", Text),
        ("operation", Text),
        ("server", Object(&ASYNCAPI_SERVER)),
        ("protocol", PROTOCOLS),
        ("message", Object(&ASYNCAPI_MESSAGE)),
        ("subscription", Object(&ASYNCAPI_SUBSCRIPTION)),
        ("authentication", Authentication),
    ],
    required: &["document"],
    one_of: &[&["operation", "channel"], &["message", "subscription"]],
    open: false,
    least: 0,
};

const PROTOCOLS: Shape = Words(&[
    "amqp",
    "amqp1",
    "anypointmq",
    "googlepubsub",
    "http",
    "ibmmq",
    "jms",
    "kafka",
    "mercure",
    "mqtt",
    "mqtt5",
    "nats",
    "pulsar",
    "redis",
    "sns",
    "solace",
    "sqs",
    "stomp",
    "ws",
]);

static ASYNCAPI_SERVER: ObjectShape = ObjectShape::closed(&[("name", Text), ("variables", Map(&Any))], &["name"]);

static ASYNCAPI_MESSAGE: ObjectShape = ObjectShape::closed(&[("payload", Map(&Any)), ("headers", Map(&Any))], &[]);

static ASYNCAPI_SUBSCRIPTION: ObjectShape = ObjectShape::closed(
    &[
        ("filter", Expression),
        ("consume", Object(&ASYNCAPI_CONSUME)),
        ("foreach", Object(&ITERATOR)),
    ],
    &["consume"],
);

static ASYNCAPI_CONSUME: ObjectShape = ObjectShape {
    members: &[
        ("for", Duration),
        ("amount", Integer(0, i64::MAX)),
        ("while", Expression),
        ("until", Expression),
    ],
    required: &[],
    one_of: &[&["amount", "while", "until"]],
    open: false,
    least: 0,
};

static ITERATOR: ObjectShape = ObjectShape::closed(
    &[
        ("item", Variable),
        ("at", Variable),
        ("do", Tasks),
        ("output", Output),
        ("export", Export),
    ],
    &[],
);

pub(super) static A2A: ObjectShape = ObjectShape::closed(
    &[
        ("agentCard", Resource),
        ("server", Endpoint),
        ("method", A2A_METHODS),
        ("parameters", TextOrObject(1)),
    ],
    &["method"],
);

const A2A_METHODS: Shape = Words(&[
    "message/send",
    "message/stream",
    "tasks/get",
    "tasks/list",
    "tasks/cancel",
    "tasks/resubscribe",
    "tasks/pushNotificationConfig/set",
    "tasks/pushNotificationConfig/get",
    "tasks/pushNotificationConfig/list",
    "tasks/pushNotificationConfig/delete",
    "agent/getAuthenticatedExtendedCard",
]);

pub(super) static MCP: ObjectShape = ObjectShape::closed(
    &[
        ("protocolVersion", Text),
        ("method", MCP_METHODS),
        ("parameters", TextOrObject(0)),
        ("timeout", Duration),
        ("transport", Object(&MCP_TRANSPORT)),
        ("client", Object(&MCP_CLIENT)),
    ],
    &["method", "transport"],
);

const MCP_METHODS: Shape = Words(&[
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/read",
    "resources/templates/list",
]);

static MCP_TRANSPORT: ObjectShape = ObjectShape {
    members: &[
        ("http", Object(&MCP_HTTP)),
        ("stdio", Object(&MCP_STDIO)),
        ("options", Map(&Text)),
    ],
    required: &[],
    one_of: &[&["http", "stdio"]],
    open: false,
    least: 0,
};

static MCP_HTTP: ObjectShape = ObjectShape::closed(&[("endpoint", Endpoint), ("headers", Map(&Text))], &["endpoint"]);

static MCP_STDIO: ObjectShape = ObjectShape::closed(
    &[
        ("command", Text),
        ("arguments", List(&Text)),
        ("environment", Map(&Text)),
    ],
    &["command"],
);

static MCP_CLIENT: ObjectShape = ObjectShape::closed(&[("name", Text), ("version", Text)], &["name", "version"]);

/// The shape of what `run` runs.
pub(super) fn process(process: RunProcess) -> &'static ObjectShape {
    match process {
        RunProcess::Container => &CONTAINER,
        RunProcess::Script => &SCRIPT,
        RunProcess::Shell => &SHELL,
        RunProcess::Workflow => &WORKFLOW,
    }
}

static CONTAINER: ObjectShape = ObjectShape::closed(
    &[
        ("image", Text),
        ("name", Text),
        ("command", Text),
        ("ports", Map(&Any)),
        ("volumes", Map(&Any)),
        ("environment", Map(&Any)),
        ("stdin", Text),
        ("arguments", List(&Text)),
        ("lifetime", Object(&LIFETIME)),
        ("pullPolicy", Words(&["ifNotPresent", "always", "never"])),
    ],
    &["image"],
);

static LIFETIME: ObjectShape = ObjectShape::closed(
    &[
        ("cleanup", Words(&["always", "never", "eventually"])),
        ("after", Duration),
    ],
    &["cleanup"],
);

static SCRIPT: ObjectShape = ObjectShape {
    members: &[
        ("language", Text),
        ("stdin", Text),
        ("arguments", List(&Text)),
        ("environment", Map(&Any)),
        ("code", Text),
        ("source", Resource),
    ],
    required: &["language"],
    one_of: &[&["code", "source"]],
    open: false,
    least: 0,
};

static SHELL: ObjectShape = ObjectShape::closed(
    &[
        ("command", Text),
        ("stdin", Text),
        ("arguments", List(&Text)),
        ("environment", Map(&Any)),
    ],
    &["command"],
);

static WORKFLOW: ObjectShape = ObjectShape::closed(
    &[
        ("namespace", Text),
        ("name", Text),
        ("version", Text),
        ("input", Map(&Any)),
    ],
    &["namespace", "name", "version"],
);

/// The shape of credentials that stand in place, not behind the name of a secret.
pub(super) fn credentials(scheme: AuthenticationScheme) -> &'static ObjectShape {
    match scheme {
        AuthenticationScheme::Basic | AuthenticationScheme::Digest => &PASSWORD,
        AuthenticationScheme::Bearer => &TOKEN,
        AuthenticationScheme::OAuth2 => &OAUTH2,
        AuthenticationScheme::Oidc => &OIDC,
    }
}

static PASSWORD: ObjectShape =
    ObjectShape::closed(&[("username", Text), ("password", Text)], &["username", "password"]);

static TOKEN: ObjectShape = ObjectShape::closed(&[("token", Text)], &["token"]);

const GRANTS: Shape = Words(&[
    "authorization_code",
    "client_credentials",
    "password",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:token-exchange",
]);

static OIDC: ObjectShape = ObjectShape::closed(
    &[
        ("authority", Uri),
        ("grant", GRANTS),
        ("client", Object(&OAUTH2_CLIENT)),
        ("request", Object(&OAUTH2_REQUEST)),
        ("issuers", List(&Text)),
        ("scopes", List(&Text)),
        ("audiences", List(&Text)),
        ("username", Text),
        ("password", Text),
        ("subject", Object(&OAUTH2_TOKEN)),
        ("actor", Object(&OAUTH2_TOKEN)),
    ],
    &["authority", "grant"],
);

static OAUTH2: ObjectShape = ObjectShape::closed(
    &[
        ("authority", Uri),
        ("endpoints", Object(&OAUTH2_ENDPOINTS)),
        ("grant", GRANTS),
        ("client", Object(&OAUTH2_CLIENT)),
        ("request", Object(&OAUTH2_REQUEST)),
        ("issuers", List(&Text)),
        ("scopes", List(&Text)),
        ("audiences", List(&Text)),
        ("username", Text),
        ("password", Text),
        ("subject", Object(&OAUTH2_TOKEN)),
        ("actor", Object(&OAUTH2_TOKEN)),
    ],
    &["authority", "grant"],
);

static OAUTH2_ENDPOINTS: ObjectShape =
    ObjectShape::closed(&[("token", Text), ("revocation", Text), ("introspection", Text)], &[]);

static OAUTH2_CLIENT: ObjectShape = ObjectShape::closed(
    &[
        ("id", Text),
        ("secret", Text),
        ("assertion", Text),
        (
            "authentication",
            Words(&[
                "client_secret_basic",
                "client_secret_post",
                "client_secret_jwt",
                "private_key_jwt",
                "none",
            ]),
        ),
    ],
    &[],
);

static OAUTH2_REQUEST: ObjectShape = ObjectShape::closed(
    &[(
        "encoding",
        Words(&["application/x-www-form-urlencoded", "application/json"]),
    )],
    &[],
);

static OAUTH2_TOKEN: ObjectShape = ObjectShape::closed(&[("token", Text), ("type", Text)], &["token", "type"]);

pub(super) static EMITTED: ObjectShape = ObjectShape {
    members: ATTRIBUTES,
    required: &["type"],
    one_of: &[],
    open: true,
    least: 0,
};

/// Attributes of a CloudEvent; extensions are welcome.
const ATTRIBUTES: &[(&str, Shape)] = &[
    ("id", Text),
    ("source", UriOrExpression),
    ("type", Text),
    ("time", TimeOrExpression),
    ("subject", Text),
    ("datacontenttype", Text),
    ("dataschema", UriOrExpression),
    ("data", Any),
];

pub(super) static FILTERED: ObjectShape = ObjectShape {
    members: ATTRIBUTES,
    required: &[],
    one_of: &[],
    open: true,
    least: 1,
};

impl Reader {
    /// A container is kept for a while if, and only if, it says for how long.
    pub fn check_lifetime(&mut self, container: &Node) {
        let Some(lifetime) = container.get("lifetime") else {
            return;
        };
        let eventually = lifetime.get("cleanup").and_then(Node::text) == Some("eventually");
        match lifetime.get("after") {
            None if eventually => self.wrong(
                lifetime.at,
                "missing property 'after' in 'lifetime': 'cleanup' is 'eventually'",
            ),
            Some(after) if !eventually && lifetime.get("cleanup").is_some() => self.wrong_help(
                after.at,
                "'after' has no effect here",
                "it goes with 'cleanup: eventually'",
            ),
            _ => {}
        }
    }
}
