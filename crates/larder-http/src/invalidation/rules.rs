//! The table of rules. It maps URL pattern and method to classes and tags.

use std::borrow::Cow;

use http::Method;
use larder::cache::Cache;
use regex::{Regex, RegexBuilder};

/// The methods that write. By default a rule has all of them; it cannot have other methods.
pub const METHODS: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Why a table is refused. The message names the rule, what is wrong and what is allowed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The path of the file.
        path: String,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The text is not a valid table of rules.
    #[error("this is not a valid table of rules: {0}")]
    Text(#[from] toml::de::Error),
    /// There is no rule, so the layer would never drop anything.
    #[error(
        "there is no rule: a table begins with [[rule]], and without rules there is no need for the layer"
    )]
    Empty,
    /// The pattern is not valid.
    #[error(
        "rule {pattern:?}: {reason}; allowed is a regular expression that a path begins with, such as '/user/.+/activate'"
    )]
    Pattern {
        /// The pattern as it was written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The rule has a method that it cannot have.
    #[error("rule {pattern:?}: method {method:?}; allowed are POST, PUT, PATCH and DELETE")]
    Method {
        /// The rule's pattern.
        pattern: String,
        /// The refused method; empty if the rule was given an empty list of methods.
        method: String,
    },
    /// The rule names nothing to drop, or has an empty name.
    #[error("rule {pattern:?}: it names no class and no tag to drop, or an empty one")]
    Nothing {
        /// The rule's pattern.
        pattern: String,
    },
}

/// One row of the table: a request with one of these methods whose path begins with the pattern drops these classes and
/// tags.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), larder_http::invalidation::rules::RulesError> {
/// use http::Method;
/// use larder_http::invalidation::rules::{Rule, Rules};
///
/// let book = Rule::new(r"/rooms/\d+/book")?.methods([Method::POST])?.classes(["rooms"])?.tags(["house"])?;
/// let rules = Rules::new([book])?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rule {
    pattern: String,
    regex: Regex,
    methods: Vec<Method>,
    /// The classes and the tags together, because the name of a class is a tag of all its entries.
    tags: Vec<String>,
}

impl Rule {
    /// A rule for paths that begin with a match of `pattern`, as in Python's `re.match`. Methods: all of [`METHODS`].
    ///
    /// # Errors
    ///
    /// [`RulesError::Pattern`] if the pattern is empty or not a regular expression.
    pub fn new(pattern: &str) -> Result<Self, RulesError> {
        let refused = |reason: String| RulesError::Pattern {
            pattern: pattern.to_owned(),
            reason: reason.replace('\n', " "),
        };
        if pattern.is_empty() {
            return Err(refused("the pattern is empty, which every path begins with".to_owned()));
        }
        // Compile the pattern alone first: with an unmatched `)` it could close the group below and so escape the
        // anchor `^`.
        Regex::new(pattern).map_err(|error| refused(error.to_string()))?;
        let anchored = RegexBuilder::new(&format!("^(?:{pattern})")).dot_matches_new_line(true).build();
        let regex = anchored.map_err(|error| refused(error.to_string()))?;
        Ok(Rule { pattern: pattern.to_owned(), regex, methods: METHODS.to_vec(), tags: Vec::new() })
    }

    /// Sets the methods. Default: all of [`METHODS`].
    ///
    /// # Errors
    ///
    /// [`RulesError::Method`] if there is no method, or one that does not write.
    pub fn methods(self, methods: impl IntoIterator<Item = Method>) -> Result<Self, RulesError> {
        let methods: Vec<Method> = methods.into_iter().collect();
        let refused = methods.iter().find(|method| !METHODS.contains(method)).map(Method::to_string);
        match refused.or_else(|| methods.is_empty().then(String::new)) {
            Some(method) => Err(RulesError::Method { pattern: self.pattern, method }),
            None => Ok(Rule { methods, ..self }),
        }
    }

    /// Adds classes. A request that matches the rule drops all their entries. Default: none.
    ///
    /// # Errors
    ///
    /// [`RulesError::Nothing`] for an empty name.
    pub fn classes<T: Into<String>>(self, classes: impl IntoIterator<Item = T>) -> Result<Self, RulesError> {
        self.tags(classes)
    }

    /// Adds tags. A request that matches the rule drops all their entries. Default: none.
    ///
    /// # Errors
    ///
    /// [`RulesError::Nothing`] for an empty name.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Result<Self, RulesError> {
        for tag in tags.into_iter().map(Into::into) {
            if tag.is_empty() {
                return Err(RulesError::Nothing { pattern: self.pattern });
            }
            if !self.tags.contains(&tag) {
                self.tags.push(tag);
            }
        }
        Ok(self)
    }
}

/// The table of rules. If several rules match a request, it drops the classes and tags of all of them.
#[derive(Clone, Debug)]
pub struct Rules(Vec<Rule>);

/// The tags that one request drops, and the rules that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleMatch {
    pub(super) method: Method,
    pub(super) patterns: Vec<String>,
    pub(super) tags: Vec<String>,
}

impl Rules {
    /// A table of these rules.
    ///
    /// # Errors
    ///
    /// [`RulesError::Empty`] if there is no rule; [`RulesError::Nothing`] if a rule drops nothing.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, RulesError> {
        let rules: Vec<Rule> = rules.into_iter().collect();
        if rules.is_empty() {
            return Err(RulesError::Empty);
        }
        match rules.iter().find(|rule| rule.tags.is_empty()) {
            Some(rule) => Err(RulesError::Nothing { pattern: rule.pattern.clone() }),
            None => Ok(Rules(rules)),
        }
    }

    /// The names in the table that no open class of `cache` has. Each is a tag or a typing error. Call it after all
    /// classes have been opened.
    pub fn unknown_names(&self, cache: &Cache) -> Vec<String> {
        let open: Vec<String> = cache.classes().into_iter().map(|class| class.name).collect();
        let mut names: Vec<String> = self.0.iter().flat_map(|rule| rule.tags.iter().cloned()).collect();
        names.sort();
        names.dedup();
        names.retain(|name| !open.contains(name));
        names
    }

    /// What a request with this method and path drops; `None` if no rule matches it.
    pub(super) fn find_match(&self, method: &Method, path: &str) -> Option<RuleMatch> {
        if !METHODS.contains(method) {
            return None;
        }
        // Match the path both as written and decoded: a router that decodes first reads `%75pdate` as `update`.
        let decoded = decoded(path);
        let is_match = |rule: &&Rule| {
            rule.methods.contains(method) && (rule.regex.is_match(path) || rule.regex.is_match(&decoded))
        };
        let mut matched = RuleMatch { method: method.clone(), patterns: Vec::new(), tags: Vec::new() };
        for rule in self.0.iter().filter(is_match) {
            matched.patterns.push(rule.pattern.clone());
            for tag in &rule.tags {
                if !matched.tags.contains(tag) {
                    matched.tags.push(tag.clone());
                }
            }
        }
        (!matched.patterns.is_empty()).then_some(matched)
    }
}

/// The path with its `%XX` escapes decoded.
fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits fit into a byte.
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hotel() -> Rules {
        Rules::parse(include_str!("../../examples/hotel/hotel.toml")).unwrap()
    }

    fn dropped(rules: &Rules, method: Method, path: &str) -> Vec<String> {
        rules.find_match(&method, path).map(|matched| matched.tags).unwrap_or_default()
    }

    #[test]
    fn the_hotels_table_is_as_its_document_prints_it() {
        let rules = hotel();
        let lists = ["user_stats", "user_list", "superadmin_user_list", "dashboard_stats"];
        let all = ["user_stats", "user_list", "superadmin_user_list", "dashboard_stats", "user_details"];
        for (path, expected) in [
            ("/v1.0/user/create", &lists[..]),
            ("/v1.0/user/update/5779356081", &all),
            ("/v1.0/user/delete/5779356081", &all),
            ("/v1.0/user/5779356081/activate", &all),
            ("/v1.0/user/5779356081/deactivate", &all),
            ("/v1.0/points/transaction", &all),
            ("/v1.0/permissions/grant", &["user_details"]),
            ("/v1.0/user/5779356081", &[]),
            ("/v1.0/points", &[]),
            ("/v1X0/user/create", &[]),
            ("/api/v1.0/user/create", &[]),
        ] {
            for method in METHODS {
                assert_eq!(dropped(&rules, method.clone(), path), expected, "{method} {path}");
            }
            assert_eq!(dropped(&rules, Method::GET, path), [""; 0], "reads drop nothing");
        }
    }

    #[test]
    fn a_pattern_cannot_leave_its_anchor_nor_miss_a_line_break() {
        assert!(Rule::new("/a)|(?:/b").is_err(), "it closes the rule's own parenthesis");
        let rules = hotel();
        assert!(!dropped(&rules, Method::POST, "/v1.0/user/7\n/activate").is_empty());
    }

    #[test]
    fn tags_of_several_rules_are_each_dropped_once() {
        let rule = |pattern: &str, tags: [&str; 2]| Rule::new(pattern).unwrap().tags(tags).unwrap();
        let rules = Rules::new([rule("/a", ["x", "y"]), rule("/a/b|/c", ["y", "z"])]).unwrap();
        assert_eq!(dropped(&rules, Method::PUT, "/a/b"), ["x", "y", "z"]);
        assert_eq!(dropped(&rules, Method::PUT, "/c/d"), ["y", "z"], "anchored at the start, both branches");
        assert_eq!(dropped(&rules, Method::PUT, "/x/c"), [""; 0]);
        let matched = rules.find_match(&Method::PUT, "/a/b").unwrap();
        assert_eq!(matched.patterns, ["/a", "/a/b|/c"]);
    }

    #[test]
    fn a_path_matches_however_it_is_encoded() {
        let rules = hotel();
        for path in ["/v1.0/user/%75pdate/7", "/v1%2e0/user/update/7", "/v1.0/user/update/%"] {
            assert!(!dropped(&rules, Method::PUT, path).is_empty(), "{path}");
        }
        assert_eq!(decoded("/%zz%4"), "/%zz%4");
    }

    #[test]
    fn rules_that_can_never_apply_are_refused() {
        let rule = || Rule::new("/a").unwrap();
        assert!(matches!(Rules::new([]), Err(RulesError::Empty)));
        assert!(matches!(Rules::new([rule()]), Err(RulesError::Nothing { .. })));
        assert!(matches!(rule().classes([""]), Err(RulesError::Nothing { .. })));
        assert!(matches!(rule().methods([]), Err(RulesError::Method { .. })));
        assert!(matches!(rule().methods([Method::GET]), Err(RulesError::Method { .. })));
    }
}
