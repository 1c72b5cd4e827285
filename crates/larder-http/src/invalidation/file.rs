//! Reads a table of rules from TOML. Unknown keys are errors.

use std::path::Path;

use http::Method;
use serde::Deserialize;

use crate::invalidation::rules::{Rule, Rules, RulesError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    rule: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    path: String,
    methods: Option<Vec<String>>,
    #[serde(default)]
    classes: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
}

impl Rules {
    /// Reads a table from a file; see [`Rules::parse`].
    ///
    /// # Errors
    ///
    /// [`RulesError`], which names what is wrong and what is allowed.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, RulesError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| RulesError::Unreadable { path: path.display().to_string(), source })?;
        Rules::parse(&text)
    }

    /// Reads a table from TOML: `[[rule]]` with `path`, at least one of `classes` and `tags`, and `methods` (default:
    /// all of [`METHODS`](crate::invalidation::rules::METHODS)).
    ///
    /// # Errors
    ///
    /// [`RulesError`], which names what is wrong and what is allowed.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let table: Table = toml::from_str(text)?;
        let rules: Result<Vec<Rule>, RulesError> = table.rule.into_iter().map(rule).collect();
        Rules::new(rules?)
    }
}

fn rule(row: Row) -> Result<Rule, RulesError> {
    let mut rule = Rule::new(&row.path)?;
    if let Some(methods) = row.methods {
        let method = |method: String| {
            let parsed = Method::from_bytes(method.as_bytes());
            parsed.map_err(|_| RulesError::Method { pattern: row.path.clone(), method })
        };
        let methods: Result<Vec<Method>, RulesError> = methods.into_iter().map(method).collect();
        rule = rule.methods(methods?)?;
    }
    rule.classes(row.classes)?.tags(row.tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rules_file_equals_rules_built_in_code() {
        let path = std::env::temp_dir().join(format!("larder-rules-{}.toml", std::process::id()));
        let text =
            "[[rule]]\npath = '/rooms/\\d+'\nmethods = ['POST']\nclasses = ['rooms']\ntags = ['house']\n";
        std::fs::write(&path, text).unwrap();
        let read = Rules::read(&path);
        std::fs::remove_file(&path).unwrap();
        let written = Rule::new(r"/rooms/\d+").unwrap().methods([Method::POST]).unwrap();
        let written = Rules::new([written.classes(["rooms"]).unwrap().tags(["house"]).unwrap()]).unwrap();
        assert_eq!(format!("{:?}", read.unwrap()), format!("{written:?}"));
        let missing = Rules::read(&path).unwrap_err().to_string();
        assert!(missing.contains("larder-rules-"), "{missing}");
    }

    #[test]
    fn errors_name_the_mistake_and_what_is_allowed() {
        let rule = |rest: &str| format!("[[rule]]\npath = '/a'\n{rest}");
        for (text, named) in [
            (String::new(), vec!["no rule", "[[rule]]"]),
            ("[[rules]]\npath = '/a'".to_owned(), vec!["unknown field `rules`", "expected `rule`"]),
            (rule("classes = ['a']\nclass = ['b']"), vec!["unknown field `class`", "`methods`", "line 4"]),
            ("[[rule]]\nclasses = ['a']".to_owned(), vec!["missing field `path`"]),
            (
                "[[rule]]\npath = '/a('\nclasses = ['a']".to_owned(),
                vec!["\"/a(\"", "unclosed group", "allowed is"],
            ),
            ("[[rule]]\npath = ''\nclasses = ['a']".to_owned(), vec!["empty", "allowed is"]),
            (
                rule("classes = ['a']\nmethods = ['GET']"),
                vec!["\"GET\"", "allowed are POST, PUT, PATCH and DELETE"],
            ),
            (rule("classes = ['a']\nmethods = ['PO ST']"), vec!["\"PO ST\"", "allowed are POST"]),
            (rule("classes = ['a']\nmethods = []"), vec!["method \"\"", "allowed are POST"]),
            (rule(""), vec!["\"/a\"", "no class and no tag"]),
            (rule("classes = ['']"), vec!["\"/a\"", "an empty one"]),
            (rule("classes = 'a'"), vec!["expected a sequence"]),
        ] {
            let error = Rules::parse(&text).unwrap_err().to_string();
            for named in named {
                assert!(error.contains(named), "{text:?}: {error:?} does not name {named:?}");
            }
        }
    }
}
