//! Every mistake of a configuration at once, each under the operator's own line.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// One mistake: what, where, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong, lower case, no full stop. Never a secret.
    pub message: String,
    /// Bytes of the file, if it is there.
    pub place: Option<Range<usize>>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Mistake {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
            help: None,
        }
    }

    pub(super) fn at(mut self, place: Option<Range<usize>>) -> Self {
        self.place = place;
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A configuration that can't be used, with all its mistakes.
#[derive(Debug)]
pub struct ConfigErrors {
    pub(super) file: String,
    pub(super) source: String,
    pub(super) mistakes: Vec<Mistake>,
}

impl ConfigErrors {
    /// One mistake that is not about the content of a file.
    pub(super) fn general(mistake: Mistake) -> Self {
        Self {
            file: String::new(),
            source: String::new(),
            mistakes: vec![mistake],
        }
    }

    /// The mistakes, in the order of the file.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Line and column of a mistake, both from 1; columns are characters.
    pub fn line_and_column(&self, mistake: &Mistake) -> Option<(usize, usize)> {
        let before = self.source.get(..mistake.place.as_ref()?.start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((line, column))
    }

    /// All mistakes as text for people, with the lines they stand in.
    pub fn render(&self, coloured: bool) -> String {
        let renderer = if coloured {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut text = String::new();
        for mistake in &self.mistakes {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            let report = self.report(mistake);
            text.push_str(&renderer.render(&report));
        }
        text
    }

    fn report<'a>(&'a self, mistake: &'a Mistake) -> Vec<Group<'a>> {
        let title = Level::ERROR.primary_title(&mistake.message);
        let mut group = match &mistake.place {
            Some(place) => title.element(
                Snippet::source(&self.source)
                    .path(&self.file)
                    .annotation(AnnotationKind::Primary.span(place.clone())),
            ),
            None => Group::with_title(title),
        };
        if let Some(help) = &mistake.help {
            group = group.element(Level::HELP.message(help));
        }
        vec![group]
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigErrors {}
