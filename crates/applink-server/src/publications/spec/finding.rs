//! What is wrong, or worth knowing, about an OpenAPI document: always with its place.

use std::fmt;

use applink_api::error::Problem;

use super::tree::Position;

/// One thing found in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub code: Code,
    /// JSON path of the value (`$.paths./quote.post`).
    pub path: String,
    /// Line and column of the value; `None` for what is missing from the whole.
    pub at: Option<Position>,
    /// One sentence: what is wrong and how to mend it.
    pub message: String,
}

/// Whether publishing can go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Refuses the publish.
    Error,
    /// Shown, and the publish goes on.
    Warning,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident;)*) => {
        /// The rules a document is checked against. The text of a code is stable.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// As written in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether it refuses the publish.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// Not well-formed YAML or JSON.
    Syntax = "syntax", Error;
    /// Well-formed, but not an OpenAPI document.
    NotOpenApi = "not-openapi", Error;
    /// OpenAPI, of a version External Services does not read.
    OpenApiVersion = "openapi-version", Error;
    /// A value of the wrong kind.
    WrongKind = "wrong-kind", Error;
    /// The document has no operation an org could call.
    NoOperations = "no-operations", Error;
    /// More operations than an org takes.
    TooManyOperations = "too-many-operations", Error;
    /// The document is over the size an org takes.
    DocumentTooLarge = "document-too-large", Error;
    /// A path that does not start with a slash.
    PathInvalid = "path-invalid", Error;
    /// A `{placeholder}` of a path that no parameter fills.
    PathParameterMissing = "path-parameter-missing", Error;
    /// `options`, `head` or `trace`.
    MethodUnsupported = "method-unsupported", Error;
    /// A key of a path that is neither a method nor anything else OpenAPI knows.
    MethodUnknown = "method-unknown", Warning;
    /// An operation without `operationId`.
    OperationIdMissing = "operation-id-missing", Error;
    /// The same `operationId` twice.
    OperationIdDuplicate = "operation-id-duplicate", Error;
    /// Two `operationId`s that become the same name in the org.
    OperationNameCollision = "operation-name-collision", Error;
    /// A `$ref` that leads nowhere.
    ReferenceUnresolved = "reference-unresolved", Error;
    /// A `$ref` into another file or host.
    ReferenceRemote = "reference-remote", Error;
    /// `$ref`s that only lead to each other.
    ReferenceCycle = "reference-cycle", Error;
    /// A callback whose key is not a runtime expression on the request.
    CallbackExpression = "callback-expression", Error;
    /// A callback expression that names a property the request does not have.
    CallbackPropertyMissing = "callback-property-missing", Error;
    /// A name in `x-sfdc.heroku.authorization` that can't be an API name.
    AuthorizationName = "authorization-name", Error;
    /// A key in `x-sfdc.heroku.authorization` that means nothing.
    AuthorizationKey = "authorization-key", Warning;
    /// A connected app where an external client app is wanted.
    ConnectedAppDeprecated = "connected-app-deprecated", Warning;
    /// A connected app that does not exist, in an org that makes no new ones.
    ConnectedAppUnavailable = "connected-app-unavailable", Error;
    /// An external client app whose name differs only in letter case.
    ExternalClientAppCase = "external-client-app-case", Error;
    /// An org of a release too old to create an external client app.
    ExternalClientAppUnavailable = "external-client-app-unavailable", Error;
    /// An org of a release older than the official service asks for.
    ExternalClientAppRelease = "external-client-app-release", Warning;
    /// The same thing named twice, by file and by flag or by two flags.
    AuthorizationTwice = "authorization-twice", Error;
    /// A permission set of the org that is not session-based.
    PermissionSetNotSession = "permission-set-not-session-based", Error;
    /// A session-based permission set with the name of the credential's permission set.
    PermissionSetNameTaken = "permission-set-name-taken", Error;
    /// A metadata file that is not what its name says.
    MetadataFile = "metadata-file", Error;
    /// The org already has an external service of this name that is not this publication's.
    ClientNameTaken = "client-name-taken", Error;
    /// The org's release lacks what a native publish needs.
    ReleaseTooOld = "release-too-old", Error;
}

impl Finding {
    /// A finding about the value at `at`.
    pub fn new(code: Code, path: impl Into<String>, at: Position, message: impl Into<String>) -> Self {
        Self { code, path: path.into(), at: Some(at), message: message.into() }
    }

    /// A finding about something that has no place in the document, such as a flag.
    pub fn without_place(code: Code, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, path: subject.into(), at: None, message: message.into() }
    }

    /// Whether it refuses the publish.
    pub fn is_error(&self) -> bool {
        self.code.severity() == Severity::Error
    }

    /// As one of the `problems` of an error answer.
    pub fn to_problem(&self) -> Problem {
        Problem {
            place: self.path.clone(),
            message: self.message.clone(),
            line: self.at.map(|at| at.line),
            column: self.at.map(|at| at.column),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "line {}, column {}: ", at.line, at.column)?;
        }
        write!(f, "{} ({}) [{}]", self.message, self.path, self.code.as_str())
    }
}
