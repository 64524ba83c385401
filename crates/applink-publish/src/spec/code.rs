//! The rules a document is checked against: one code each, with a page of its own in `docs/spec/`.

/// Whether publishing can go on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Refuses the publish.
    Error,
    /// Shown, and the publish goes on.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// As written in reports; the levels of SARIF have the same names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

macro_rules! codes {
    ($($name:ident = $text:literal, $severity:ident, $title:literal, $fix:literal;)*) => {
        /// A rule. The text of a code is stable.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Code { $(#[doc = $title] $name,)* }

        impl Code {
            /// Every code, in the order of their pages.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As written in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether it refuses the publish.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What is wrong, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// How to mend it.
            pub fn fix(self) -> &'static str {
                match self { $(Self::$name => $fix,)* }
            }
        }
    };
}

codes! {
    Syntax = "syntax", Error,
        "Not well-formed YAML or JSON",
        "Mend the text at the place the message names. In YAML, indent with spaces and give every key once.";
    NotOpenApi = "not-openapi", Error,
        "Not an OpenAPI document",
        "Start the document with `openapi: 3.0.3`, `info` and `paths`.";
    OpenApiVersion = "openapi-version", Error,
        "A version of OpenAPI that External Services does not read",
        "Write the document as OpenAPI 3.0 (`openapi: 3.0.3`). Documents of version 3.1 are taken as far as they say something 3.0 can say.";
    OpenApi31 = "openapi-3-1", Note,
        "An OpenAPI 3.1 document is registered as 3.0",
        "Nothing needs to be done: what 3.0 can say is rewritten. Write `openapi: 3.0.3` to see exactly what the org gets.";
    Keyword31 = "openapi-3-1-keyword", Error,
        "A keyword of OpenAPI 3.1 that OpenAPI 3.0 has no words for",
        "Say it with the keywords of OpenAPI 3.0, or leave it out.";
    WrongKind = "wrong-kind", Error,
        "A value of the wrong kind",
        "Give the kind of value the message names: a mapping, a list, a text or a truth value.";
    NoOperations = "no-operations", Error,
        "No operation an org could call",
        "Add an operation with an `operationId` under `paths`.";
    TooManyOperations = "too-many-operations", Error,
        "More operations than an org takes",
        "Split the document: an org takes 3,000 active operations.";
    TooManyObjects = "too-many-objects", Error,
        "More object types than an org takes",
        "Split the document, or share schemas with `$ref`: an org takes 3,000 active object types.";
    TooManyProperties = "too-many-properties", Error,
        "More properties than an org takes",
        "Split the document: an org takes 400,000 properties of objects.";
    DocumentTooLarge = "document-too-large", Error,
        "The document is over the size that can be published",
        "Split the document, or leave out examples and long descriptions. YAML may have 3 MB, JSON 10 MB.";
    PathInvalid = "path-invalid", Error,
        "A path that does not start with a slash",
        "Write `/orders`, not `orders`.";
    PathParameterMissing = "path-parameter-missing", Error,
        "A `{placeholder}` of a path that no parameter fills",
        "Declare a parameter with `in: path` and exactly that name.";
    MethodUnsupported = "method-unsupported", Error,
        "A method that External Services does not call",
        "Use `get`, `put`, `post`, `delete` or `patch`, or remove the operation.";
    MethodUnknown = "method-unknown", Warning,
        "A key of a path that is not a method",
        "Check the spelling: `get`, `put`, `post`, `delete` or `patch`.";
    OperationIdMissing = "operation-id-missing", Error,
        "An operation without `operationId`",
        "Add an `operationId`: it becomes the name of the Flow action and the Apex method.";
    OperationIdDuplicate = "operation-id-duplicate", Error,
        "The same `operationId` twice",
        "Give every operation an `operationId` of its own.";
    OperationNameCollision = "operation-name-collision", Error,
        "Two `operationId`s that become the same name in the org",
        "Rename one. In the org only letters, digits and `_` remain, 80 characters are kept, and letter case does not count.";
    OperationNameChanged = "operation-name-changed", Note,
        "An `operationId` that is called something else in the org",
        "Write the `operationId` with letters, digits and `_` only, a letter first.";
    NameCut = "name-cut", Warning,
        "A name of more than 80 characters, which the org cuts",
        "Shorten the name to 80 characters.";
    TypeNameCollision = "type-name-collision", Error,
        "Two schemas that become the same Apex class",
        "Rename one. In the org only letters, digits and `_` remain, 80 characters are kept, and letter case does not count.";
    PropertyNameCollision = "property-name-collision", Error,
        "Two properties that become the same Apex member",
        "Rename one. In the org only letters, digits and `_` remain, 80 characters are kept, and letter case does not count.";
    ParameterNameCollision = "parameter-name-collision", Error,
        "Two parameters that become the same member of the request",
        "Rename one. A parameter called `body` collides with the request's body.";
    ReferenceUnresolved = "reference-unresolved", Error,
        "A `$ref` that leads nowhere",
        "Check its spelling: it is a JSON pointer such as `#/components/schemas/Order`.";
    ReferenceRemote = "reference-remote", Error,
        "A `$ref` into another file or host",
        "Copy what it names into `components` and refer to it there.";
    ReferenceCycle = "reference-cycle", Error,
        "`$ref`s that only lead to each other",
        "Let one of them lead to a schema. Schemas that contain themselves in a property are fine.";
    RequestMediaType = "request-media-type", Error,
        "A request in no media type External Services sends",
        "Accept `application/json`, `application/x-www-form-urlencoded` or `text/plain`.";
    ResponseMediaType = "response-media-type", Warning,
        "A response in no media type External Services reads",
        "Answer in `application/json` or `text/plain`; otherwise callers get no typed response.";
    ResponseHeader = "response-header", Warning,
        "Headers of a response, which External Services does not hand to callers",
        "Put what callers need into the body.";
    ResponseMissing = "response-missing", Warning,
        "An operation without a successful response",
        "Declare a response with a status from 200 to 299; it becomes the member callers read.";
    BodyNotSent = "body-not-sent", Warning,
        "A body on a method that does not send one",
        "Use `post`, or move the values into parameters.";
    HeaderReserved = "header-reserved", Error,
        "A header that belongs to the platform",
        "Remove the parameter, or give the header a name of its own: the org and the mesh set this one.";
    HeaderIgnored = "header-ignored", Warning,
        "A header parameter that OpenAPI itself ignores",
        "Remove the parameter: `Accept` and `Content-Type` follow from the media types.";
    CookieParameter = "cookie-parameter", Error,
        "A cookie, which External Services does not send",
        "Send the value in the query, a header or the body.";
    KeywordUnsupported = "keyword-unsupported", Warning,
        "A keyword External Services does not support",
        "Leave it out; the org ignores it, and callers may send what your app refuses.";
    SchemaType = "schema-type", Error,
        "A `type` that is none",
        "Use `string`, `integer`, `number`, `boolean`, `object` or `array`.";
    ArrayWithoutItems = "array-without-items", Error,
        "A list whose elements have no type",
        "Add `items` with the type of the elements.";
    DefaultIgnored = "default-ignored", Note,
        "A default value the org ignores",
        "External Services fills in defaults of outermost values only. Fill it in in the app.";
    SecurityIgnored = "security-ignored", Note,
        "`security` is ignored",
        "Nothing needs to be done: the org signs every call, and the mesh checks it.";
    ServersIgnored = "servers-ignored", Warning,
        "`servers` of a path or an operation",
        "Leave it out: the org calls the app's own URL, whatever the document says.";
    DescriptionCut = "description-cut", Warning,
        "A description of more than 1,333 characters, which the org cuts",
        "Shorten it: people and agents see the first 1,333 characters.";
    CallbackExpression = "callback-expression", Error,
        "A callback whose key is not a runtime expression on the request",
        "Write the key like `\"{$request.body#/callbackUrl}\"`.";
    CallbackPropertyMissing = "callback-property-missing", Error,
        "A callback expression that names nothing of the request",
        "Add the property (`type: string`) to the request's schema; callers leave it empty, the org fills it in.";
    CallbackOperationId = "callback-operation-id", Warning,
        "A callback without `operationId`",
        "Add an `operationId` to the callback's operation: the Apex types of what it receives are named after it.";
    CallbackMethod = "callback-method", Warning,
        "A callback that is not a POST",
        "Post to the callback URL.";
    CallbackVendorKey = "callback-vendor-key", Warning,
        "`x-callbacks`, which nobody reads",
        "Rename it to `callbacks`; some generators write it with the prefix.";
    AuthorizationName = "authorization-name", Error,
        "A name that can't be an API name in an org",
        "Use a letter first, then letters, digits and single `_`, at most 80 characters.";
    AuthorizationKey = "authorization-key", Warning,
        "A key of `x-sfdc.heroku.authorization` that means nothing",
        "Known are `externalClientApp`, `permissionSet` and `connectedApp`.";
    AuthorizationMisplaced = "authorization-misplaced", Warning,
        "An authorization block that is not on an operation",
        "Move `x-sfdc.heroku.authorization` to each operation that needs it.";
    AuthorizationBoth = "authorization-both", Warning,
        "An external client app and a connected app on one operation",
        "Keep `externalClientApp`: it is the one that counts.";
    ExtensionKey = "extension-key", Warning,
        "A key below `x-sfdc` that means nothing",
        "Check its spelling and its place: `heroku.authorization`, `agent.topic`, `agent.action` and `privacy.isPii` are known.";
    TopicIncomplete = "topic-incomplete", Error,
        "An agent topic that lacks one of its four texts",
        "Give `name`, `classificationDescription`, `scope` and `instructions`.";
    TopicName = "topic-name", Error,
        "A name an agent topic can't have",
        "Use a letter first, then letters, digits, spaces and `_`, at most 80 characters.";
    TopicMisplaced = "topic-misplaced", Warning,
        "An agent topic that is not at the root of the document",
        "Move `x-sfdc.agent.topic` to the root: a document has one topic.";
    TopicWithoutActions = "topic-without-actions", Error,
        "An agent topic without actions",
        "Set `x-sfdc.agent.action.publishAsAgentAction: true` on at least one operation.";
    ActionWithoutTopic = "action-without-topic", Warning,
        "Agent actions without a topic",
        "Add `x-sfdc.agent.topic` at the root of the document, or assign the actions to a topic in the org.";
    ActionDescription = "action-description", Warning,
        "An agent action without a description",
        "Add a `description` of at least ten characters: the agent picks actions by it.";
    ActionInput = "action-input", Warning,
        "An input of an agent action without `isUserInput`",
        "Say `x-sfdc.agent.action.isUserInput: true` or `false` on it.";
    ActionOutput = "action-output", Warning,
        "An output of an agent action without `isDisplayable`",
        "Say `x-sfdc.agent.action.isDisplayable: true` or `false` on it.";
    ActionReference = "action-reference", Warning,
        "An agent key in a schema that is reached by `$ref`",
        "Write the schema inline where the action uses it: the org reads these keys there only.";
    ConnectedAppDeprecated = "connected-app-deprecated", Warning,
        "A connected app where an external client app is wanted",
        "Name an `externalClientApp` (flag `--authorization-external-client-app-name`): from Spring '26 on no new connected apps can be made.";
    ConnectedAppUnavailable = "connected-app-unavailable", Error,
        "A connected app that does not exist, in an org that makes no new ones",
        "Use `--authorization-external-client-app-name`.";
    ExternalClientAppCase = "external-client-app-case", Error,
        "An external client app whose name differs only in letter case",
        "Write the name as the org spells it.";
    ExternalClientAppUnavailable = "external-client-app-unavailable", Error,
        "An org of a release too old for external client apps",
        "Use a connected app, or have the org upgraded.";
    ExternalClientAppRelease = "external-client-app-release", Warning,
        "An external client app in an org before Summer '26",
        "Make the external client app in the org's Setup and name it, or publish to an org on Summer '26 or later.";
    AuthorizationTwice = "authorization-twice", Error,
        "The same thing named twice, by file and by flag",
        "Give it once: by a file of `--metadata-dir` or by a flag.";
    PermissionSetNotSession = "permission-set-not-session-based", Error,
        "A permission set of the org that is not session-based",
        "Tick \"Session Activation Required\" on it in Setup, or use another name.";
    PermissionSetNameTaken = "permission-set-name-taken", Error,
        "A session-based permission set with the name of the client",
        "Give it another name: the set with the client's name is the one that lets users call.";
    MetadataFile = "metadata-file", Error,
        "A metadata file that is not what its name says",
        "Put one `ConnectedApp` into `connectedapp-meta.xml` and one `PermissionSet` into `permissionset-meta.xml`.";
    ClientNameTaken = "client-name-taken", Error,
        "The org has another external service of this name",
        "Choose another `--client-name`, or delete that one in Setup, External Services.";
    RightMissing = "right-missing", Error,
        "A right the connection's user lacks",
        "Give the connection's user the permission in the org's Setup, or connect as another user.";
    ReleaseTooOld = "release-too-old", Error,
        "An org of a release too old to publish to",
        "Publish to an org that speaks API 59.0 or newer.";
}
