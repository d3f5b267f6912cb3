//! A mistake in a policy: a stable code, a place, what is wrong, what to write instead.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Where something stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Byte offsets in the text, for the caret under the line.
    pub bytes: Range<usize>,
}

impl Span {
    /// The character at a line and column, both from 1, of a text: where nothing else is known of
    /// a place. Beyond the line or the text it is the end of it.
    pub fn at(text: &str, line: u32, column: u32) -> Self {
        let index = |number: u32| usize::try_from(number.max(1) - 1).unwrap_or(usize::MAX);
        let mut before = 0;
        let mut content = "";
        for (number, part) in text.split_inclusive('\n').enumerate() {
            if number == index(line) {
                content = part.trim_end_matches(['\n', '\r']);
                break;
            }
            before += part.len();
        }
        let mut characters = content.char_indices().skip(index(column));
        let (start, len) = characters
            .next()
            .map_or((content.len(), 0), |(at, character)| (at, character.len_utf8()));
        Self {
            line: line.max(1),
            column: column.max(1),
            bytes: before + start..before + start + len,
        }
    }

    /// The beginning of a file: for what concerns it as a whole.
    pub fn start() -> Self {
        Self {
            line: 1,
            column: 1,
            bytes: 0..0,
        }
    }
}

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look; the policy loads.
    Warning,
    /// The file does not load.
    Error,
}

/// Stable codes (contracts.md §3): errors below SG140, lints from there. Never reused.
pub mod code {
    /// Not YAML, or not one document.
    pub const NOT_YAML: &str = "SG101";
    /// A key the format does not have.
    pub const UNKNOWN_KEY: &str = "SG102";
    /// A required key is absent.
    pub const MISSING_KEY: &str = "SG103";
    /// Text where a list belongs, and the like.
    pub const WRONG_KIND: &str = "SG104";
    /// A reserved word of a later version.
    pub const NOT_SUPPORTED_YET: &str = "SG105";
    /// `integration` differs from the file's name, or is no valid name.
    pub const BAD_NAME: &str = "SG106";
    /// Not a calendar date, or one that can't be.
    pub const BAD_DATE: &str = "SG107";
    /// Not an effect, or one that can't stand here.
    pub const BAD_EFFECT: &str = "SG108";
    /// Not a risk.
    pub const BAD_RISK: &str = "SG109";
    /// No such scope.
    pub const UNKNOWN_SCOPE: &str = "SG110";
    /// No such operation.
    pub const UNKNOWN_OPERATION: &str = "SG111";
    /// No such object type.
    pub const UNKNOWN_OBJECT: &str = "SG112";
    /// The scope does not serve the type.
    pub const OBJECT_NOT_SERVED: &str = "SG113";
    /// The scope or the operation needs `objects`.
    pub const OBJECTS_REQUIRED: &str = "SG114";
    /// The scope is both read and write: `effects` is needed.
    pub const EFFECTS_REQUIRED: &str = "SG115";
    /// A rule without, or with more than one of, what it opens.
    pub const RULE_SHAPE: &str = "SG116";
    /// A wildcard where none may stand.
    pub const WILDCARD: &str = "SG117";
    /// A connection that can't be meant.
    pub const BAD_CONNECTION: &str = "SG118";
    /// Two rules with one id, or an id that is no name.
    pub const BAD_RULE_ID: &str = "SG119";
    /// Observing longer, or more, than is allowed.
    pub const BAD_OBSERVE: &str = "SG120";
    /// Two files for one integration.
    pub const DUPLICATE_POLICY: &str = "SG121";
    /// A file, or a set of files, beyond the bounds.
    pub const TOO_LARGE: &str = "SG122";
    /// A value twice in one list.
    pub const REPEATED: &str = "SG123";
    /// The policy lacks what the ceiling requires.
    pub const CEILING_REQUIRES: &str = "SG124";
    /// A mistake in a cases file.
    pub const BAD_CASE: &str = "SG125";
    /// A file name that is not read.
    pub const FILE_NAME: &str = "SG126";
    /// A silencing comment without a reason.
    pub const SILENCE_WITHOUT_REASON: &str = "SG127";
    /// The policy asks for more than the ceiling allows.
    pub const BEYOND_CEILING: &str = "SG128";
    /// The file can't be read as text.
    pub const UNREADABLE: &str = "SG129";
    /// What can't be a property's name.
    pub const BAD_PROPERTY: &str = "SG130";
    /// `values` for a property that may not be written.
    pub const VALUES_NOT_WRITTEN: &str = "SG131";

    /// A scope that HubSpot has no more, and that means nothing.
    pub const DROPPED_SCOPE: &str = "SG132";

    /// `objects: ["*"]`.
    pub const LINT_ALL_OBJECTS: &str = "SG141";
    /// An operation with a risk that the rule does not name.
    pub const LINT_UNNAMED_RISK: &str = "SG142";
    /// A rule that opens nothing.
    pub const LINT_OPENS_NOTHING: &str = "SG143";
    /// `review_by` has passed.
    pub const LINT_REVIEW_OVERDUE: &str = "SG144";
    /// `expires` has passed.
    pub const LINT_EXPIRED: &str = "SG145";
    /// `observe` has ended.
    pub const LINT_OBSERVE_ENDED: &str = "SG146";
    /// `connections: "*"`.
    pub const LINT_ALL_CONNECTIONS: &str = "SG147";
    /// A rule opens deletion or worse, without a reason.
    pub const LINT_DESTRUCTIVE_WITHOUT_REASON: &str = "SG148";
    /// A denial of one custom object, which has other spellings.
    pub const LINT_CUSTOM_DENY: &str = "SG149";
    /// An allow rule that a deny rule takes back whole.
    pub const LINT_SHADOWED: &str = "SG150";
    /// The first line does not name the schema.
    pub const LINT_NO_SCHEMA_COMMENT: &str = "SG151";
    /// A silencing comment that silences nothing.
    pub const LINT_IDLE_SILENCE: &str = "SG152";
    /// Cases for a policy that is not there.
    pub const LINT_ORPHAN_CASES: &str = "SG153";

    /// A comment that looks like a silencing one and is none.
    pub const LINT_MISWRITTEN_SILENCE: &str = "SG154";

    /// No `properties` block.
    pub const LINT_NO_PROPERTIES: &str = "SG160";
    /// A type's own entry grants what `"*"` does not.
    pub const LINT_STAR_CLOSES: &str = "SG161";
    /// Properties of a type that no rule opens.
    pub const LINT_IDLE_PROPERTIES: &str = "SG162";
    /// A rule opens records of a type whose properties are all closed.
    pub const LINT_NO_VALUES: &str = "SG163";
    /// A property that is readable whatever the block says.
    pub const LINT_ALWAYS_READABLE: &str = "SG164";
    /// A listed property that tells of one that is not.
    pub const LINT_DERIVED: &str = "SG165";
    /// A property's name with capitals.
    pub const LINT_CAPITALS: &str = "SG166";
    /// `all` inside a list of properties.
    pub const LINT_ALL_IN_LIST: &str = "SG167";
    /// An `allow` rule that opens only what others open, too.
    pub const LINT_REDUNDANT: &str = "SG170";
    /// A scope that adds nothing to its rule.
    pub const LINT_IDLE_SCOPE: &str = "SG171";
    /// A `deny` rule that no call can meet.
    pub const LINT_DENIES_NOTHING: &str = "SG172";
    /// A `deny` rule that denies only what others deny, too.
    pub const LINT_REDUNDANT_DENY: &str = "SG173";
    /// A rule by scope that opens what can't be undone.
    pub const LINT_IRREVERSIBLE_BY_SCOPE: &str = "SG174";

    /// A limit on records that no rule lets be met.
    pub const LINT_IDLE_LIMIT: &str = "SG175";
    /// A limit that no full batch fits into.
    pub const LINT_LIMIT_BELOW_BATCH: &str = "SG176";
    /// A limit on records beside a rule that opens what can't be counted.
    pub const LINT_UNCOUNTABLE: &str = "SG177";

    /// Every code, each once.
    pub const ALL: [&str; 62] = [
        NOT_YAML,
        UNKNOWN_KEY,
        MISSING_KEY,
        WRONG_KIND,
        NOT_SUPPORTED_YET,
        BAD_NAME,
        BAD_DATE,
        BAD_EFFECT,
        BAD_RISK,
        UNKNOWN_SCOPE,
        UNKNOWN_OPERATION,
        UNKNOWN_OBJECT,
        OBJECT_NOT_SERVED,
        OBJECTS_REQUIRED,
        EFFECTS_REQUIRED,
        RULE_SHAPE,
        WILDCARD,
        BAD_CONNECTION,
        BAD_RULE_ID,
        BAD_OBSERVE,
        DUPLICATE_POLICY,
        TOO_LARGE,
        REPEATED,
        CEILING_REQUIRES,
        BAD_CASE,
        FILE_NAME,
        SILENCE_WITHOUT_REASON,
        BEYOND_CEILING,
        UNREADABLE,
        BAD_PROPERTY,
        VALUES_NOT_WRITTEN,
        DROPPED_SCOPE,
        LINT_ALL_OBJECTS,
        LINT_UNNAMED_RISK,
        LINT_OPENS_NOTHING,
        LINT_REVIEW_OVERDUE,
        LINT_EXPIRED,
        LINT_OBSERVE_ENDED,
        LINT_ALL_CONNECTIONS,
        LINT_DESTRUCTIVE_WITHOUT_REASON,
        LINT_CUSTOM_DENY,
        LINT_SHADOWED,
        LINT_NO_SCHEMA_COMMENT,
        LINT_IDLE_SILENCE,
        LINT_ORPHAN_CASES,
        LINT_MISWRITTEN_SILENCE,
        LINT_NO_PROPERTIES,
        LINT_STAR_CLOSES,
        LINT_IDLE_PROPERTIES,
        LINT_NO_VALUES,
        LINT_ALWAYS_READABLE,
        LINT_DERIVED,
        LINT_CAPITALS,
        LINT_ALL_IN_LIST,
        LINT_REDUNDANT,
        LINT_IDLE_SCOPE,
        LINT_DENIES_NOTHING,
        LINT_REDUNDANT_DENY,
        LINT_IRREVERSIBLE_BY_SCOPE,
        LINT_IDLE_LIMIT,
        LINT_LIMIT_BELOW_BATCH,
        LINT_UNCOUNTABLE,
    ];
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// One of [`code`].
    pub code: &'static str,
    /// Whether the file loads all the same.
    pub severity: Severity,
    /// Path of the file, as the reader of the folder named it.
    pub file: Arc<str>,
    /// Where.
    pub span: Span,
    /// What is wrong: lower case, no full stop, values in backticks.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Mistake {
    /// A mistake for which the file does not load. The file's name is put in by [`Mistake::in_file`].
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            file: Arc::from(""),
            span,
            message: message.into(),
            help: None,
        }
    }

    /// A finding; the file loads.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, message)
        }
    }

    /// Adds what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says which file it stands in.
    pub fn in_file(mut self, file: &Arc<str>) -> Self {
        self.file = Arc::clone(file);
        self
    }

    /// Whether the file does not load because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// For logs: one line with file, line and column.
    pub fn one_line(&self) -> String {
        let Span { line, column, .. } = self.span;
        let help = self.help.as_deref().map(|h| format!(": {h}")).unwrap_or_default();
        format!(
            "{}:{line}:{column}: {} {}{help}",
            self.file, self.code, self.message
        )
    }

    /// For people: the line of the file with a caret under it, as compilers show it.
    pub fn render(&self, text: &str, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let range = visible_range(text, &self.span.bytes);
        let mut group = Group::with_title(level.primary_title(&self.message).id(self.code)).element(
            Snippet::source(text)
                .path(self.file.as_ref())
                .annotation(AnnotationKind::Primary.span(range)),
        );
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }
}

/// The mistakes of a file as a person goes through it.
pub fn in_order(mut mistakes: Vec<Mistake>, file: &Arc<str>) -> Vec<Mistake> {
    mistakes.sort_by_key(|mistake| (mistake.span.line, mistake.span.column));
    mistakes
        .into_iter()
        .map(|mistake| mistake.in_file(file))
        .collect()
}

/// A range inside the text and on character borders, at most to the end of its first line: a
/// mistake in a mapping points at its beginning, not at the whole of it.
fn visible_range(text: &str, bytes: &Range<usize>) -> Range<usize> {
    let mut start = bytes.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = bytes.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let line_end = text
        .get(start..end)
        .and_then(|part| part.find('\n'))
        .map_or(end, |at| start + at);
    start..line_end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_given_once() {
        let mut codes = code::ALL.to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), code::ALL.len());
        assert!(codes.iter().all(|c| c.starts_with("SG1") && c.len() == 5));
    }

    #[test]
    fn a_mistake_is_shown_under_its_line_with_code_and_remedy() {
        let text = "integration: a\nscoped: x\n";
        let mistake = Mistake::error(
            code::UNKNOWN_KEY,
            Span {
                line: 2,
                column: 1,
                bytes: 15..21,
            },
            "unknown key `scoped`",
        )
        .help("did you mean `scope`?")
        .in_file(&Arc::from("policies/a.yaml"));
        let shown = mistake.render(text, false);
        assert!(shown.contains("error[SG102]: unknown key `scoped`"), "{shown}");
        assert!(shown.contains("policies/a.yaml:2:1"), "{shown}");
        assert!(shown.contains("^^^^^^"), "{shown}");
        assert!(shown.contains("did you mean `scope`?"), "{shown}");
        assert_eq!(
            mistake.one_line(),
            "policies/a.yaml:2:1: SG102 unknown key `scoped`: did you mean `scope`?"
        );
    }

    #[test]
    fn a_line_and_a_column_are_found_in_the_bytes_of_the_text() {
        let text = "a: 1\r\né: [é, ü\nend";
        for (line, column, expected) in [
            (1, 1, "a"),
            (2, 1, "é"),
            (2, 5, "é"),
            (2, 8, "ü"),
            (3, 3, "d"),
            (1, 40, ""),
            (3, 4, ""),
            (40, 1, ""),
        ] {
            let span = Span::at(text, line, column);
            assert_eq!(&text[span.bytes.clone()], expected, "{line}:{column}");
            assert_eq!((span.line, span.column), (line, column));
        }
        assert_eq!(Span::at(text, 1, 40).bytes, 4..4);
        assert_eq!(Span::at(text, 40, 1).bytes, text.len()..text.len());
    }

    #[test]
    fn a_place_outside_the_text_or_inside_a_character_is_shown_without_panic() {
        let mistake = Mistake::error(
            code::NOT_YAML,
            Span {
                line: 9,
                column: 9,
                bytes: 1..900,
            },
            "x",
        );
        assert!(mistake.render("é", false).contains("SG101"));
        assert!(mistake.render("", false).contains("SG101"));
    }
}
