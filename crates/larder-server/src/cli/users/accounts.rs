//! `larder users list`, `show`, `create`, `activate`, `deactivate` and `delete`, on a running instance.

use std::path::{Path, PathBuf};

use anyhow::Result;
use axum::http::Method;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::cli::Usage;
use crate::cli::instance::answers::{User, Users};
use crate::cli::instance::output::{plain, print_json, table};
use crate::cli::instance::{Answer, Ask, InstanceArguments, segment};

/// The commands about single users and lists of users.
#[derive(Subcommand)]
pub(crate) enum Accounts {
    /// List users, newest first, or search them.
    ///
    /// Exit codes: 0, the list is printed, even if it is empty; 1, the instance refuses or does not answer; 2, the arguments
    /// are wrong.
    #[command(
        after_help = "Examples:\n  larder users list --status inactive\n  larder users list --search ann --json | jq -r '.items[].id'"
    )]
    List(List),
    /// Show one user.
    ///
    /// Exit codes: 0, the user is printed; 1, there is none, or the instance refuses; 2, the arguments are wrong.
    #[command(
        after_help = "Examples:\n  larder users show staff-8\n  larder users show --email grace@example.com"
    )]
    Show(Show),
    /// Create a user.
    ///
    /// Exit codes: 0, the user exists now; 1, the instance refuses, for example because a name is taken; 2, the arguments are
    /// wrong.
    #[command(
        after_help = "Example:\n  larder users create --email grace@example.com --username grace --external-id staff-8"
    )]
    Create(Create),
    /// Activate a user.
    ///
    /// Exit codes: 0, it is done; 1, there is no such user, or the instance refuses; 2, the arguments are wrong.
    #[command(after_help = "Example:\n  larder users activate staff-8")]
    Activate(Change),
    /// Deactivate a user: its tokens end at once.
    ///
    /// Exit codes: 0, it is done; 1, there is no such user, or the instance refuses; 2, the arguments are wrong.
    #[command(after_help = "Example:\n  larder users deactivate staff-8")]
    Deactivate(Change),
    /// Delete a user.
    ///
    /// Exit codes: 0, it is done; 1, there is no such user, or the instance refuses; 2, the arguments are wrong.
    #[command(after_help = "Example:\n  larder users delete staff-8")]
    Delete(Change),
}

#[derive(Args)]
pub(crate) struct List {
    /// Users whose name, user name or e-mail address has this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Users with this role: user, admin or superadmin
    #[arg(long)]
    role: Option<String>,
    /// active or inactive
    #[arg(long)]
    status: Option<String>,
    /// created_at, username, points or email, descending with a - before it [default: -created_at]
    #[arg(long, allow_hyphen_values = true)]
    sort: Option<String>,
    /// How many users, 1 to 100 [default: 25]
    #[arg(long)]
    limit: Option<u32>,
    /// The page, counted from 1
    #[arg(long, conflicts_with = "cursor")]
    page: Option<u32>,
    /// The cursor that the preceding page named
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    shared: Shared,
}

/// Exactly one name of a user.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Name {
    /// The id, the external id, or me
    #[arg(value_parser = segment)]
    id: Option<String>,
    #[arg(long)]
    email: Option<String>,
    #[arg(long)]
    username: Option<String>,
    #[arg(long)]
    phone: Option<String>,
}

#[derive(Args)]
pub(crate) struct Create {
    #[arg(long)]
    email: String,
    #[arg(long)]
    username: String,
    #[arg(long)]
    full_name: Option<String>,
    #[arg(long)]
    phone: Option<String>,
    #[arg(long)]
    external_id: Option<String>,
    /// user, admin or superadmin [default: user]; above user, an access token and --confirm-file are needed
    #[arg(long)]
    role: Option<String>,
    /// The user cannot log in before it is activated
    #[arg(long)]
    inactive: bool,
    /// A file with the user's password; without one it cannot log in
    #[arg(long, value_name = "PATH")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    proof: Proof,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Args)]
pub(crate) struct Change {
    /// The id, or the external id
    #[arg(value_parser = segment)]
    id: String,
    #[command(flatten)]
    proof: Proof,
    #[command(flatten)]
    shared: Shared,
}

/// What proves that the caller is the user of its token.
#[derive(Args)]
struct Proof {
    /// A file with the caller's own password, which users with a role above user or a permission need
    #[arg(long, value_name = "PATH")]
    confirm_file: Option<PathBuf>,
}

#[derive(Args)]
struct Shared {
    #[command(flatten)]
    target: InstanceArguments,
    /// The answer in JSON; `larder schema users-list` and so on describe it
    #[arg(long)]
    json: bool,
}

/// A user that was deleted.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedUser)]
pub(crate) struct Deleted {
    /// The id or external id, as the command named it.
    deleted: String,
}

const USERS: [&str; 3] = ["api", "v1", "users"];

/// The path of one user, or of what can be done with it.
fn path<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    USERS.iter().chain(rest).copied().collect()
}

impl Accounts {
    pub(crate) async fn run(self, config: Option<&Path>) -> Result<()> {
        match self {
            Self::List(list) => list.run(config).await,
            Self::Show(Show { name, shared }) => {
                let Name { id, email, username, phone } = &name;
                let looked_up = [("email", email), ("username", username), ("phone", phone)];
                let ask =
                    match (id, looked_up.into_iter().find_map(|(name, value)| Some((name, value.as_ref()?))))
                    {
                        // A POST keeps personal data out of URLs, which logs have.
                        (None, Some((name, value))) => {
                            Ask::send(Method::POST, path(&["lookup"]), Some(json!({ name: value })))
                        }
                        (id, _) => Ask::get(path(&[id.as_deref().unwrap_or_default()])),
                    };
                shared.show(ask, config).await
            }
            Self::Create(create) => {
                let body = create.body()?;
                create.shared.show(Ask::send(Method::POST, path(&[]), Some(body)), config).await
            }
            Self::Activate(change) => change.switch("activate", config).await,
            Self::Deactivate(change) => change.switch("deactivate", config).await,
            Self::Delete(change) => change.delete(config).await,
        }
    }
}

impl List {
    async fn run(self, config: Option<&Path>) -> Result<()> {
        let ask = Ask::get(USERS)
            .with("search", self.search)
            .with("role", self.role)
            .with("status", self.status)
            .with("sort", self.sort)
            .with("limit", self.limit)
            .with("page", self.page)
            .with("cursor", self.cursor);
        let answer = self.shared.target.open(config)?.success(ask).await?;
        let users: Users = answer.json()?;
        if self.shared.json {
            return say!("{}", answer.body);
        }
        let header = ["id", "username", "email", "full name", "role", "state"];
        let rows = users.items.iter().map(|user| {
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            let state = if user.is_active { "active" } else { "inactive" };
            vec![
                user.id.clone(),
                user.username.clone(),
                text(&user.email),
                text(&user.full_name),
                user.role.clone(),
                state.to_owned(),
            ]
        });
        say!("{}", table(&header, rows, header.len()))?;
        let total = users.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let next = users
            .next_cursor
            .map(|cursor| format!("; next: --cursor {}", plain(&cursor)))
            .unwrap_or_default();
        say!("\n{}{total} users{next}", users.items.len())
    }
}

impl Create {
    fn body(&self) -> Result<Value> {
        let mut body = Map::new();
        let fields = [
            ("email", Some(&self.email)),
            ("username", Some(&self.username)),
            ("full_name", self.full_name.as_ref()),
            ("phone", self.phone.as_ref()),
            ("external_id", self.external_id.as_ref()),
            ("role", self.role.as_ref()),
        ];
        body.extend(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
        if self.inactive {
            body.insert("is_active".to_owned(), json!(false));
        }
        if let Some(file) = &self.password_file {
            body.insert("password".to_owned(), json!(secret(file)?));
        }
        if let Some(Value::Object(proof)) = self.proof.body()? {
            body.extend(proof);
        }
        Ok(Value::Object(body))
    }
}

impl Proof {
    fn body(&self) -> Result<Option<Value>, Usage> {
        let password = self.confirm_file.as_deref().map(secret).transpose()?;
        Ok(password.map(|password| json!({ "current_password": password })))
    }
}

/// The secret in a file, without the end of its line.
fn secret(file: &Path) -> Result<String, Usage> {
    let read = std::fs::read_to_string(file);
    let text = read.map_err(|error| Usage(format!("{} cannot be read: {error}", file.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl Change {
    async fn switch(self, verb: &'static str, config: Option<&Path>) -> Result<()> {
        let ask = Ask::send(Method::POST, path(&[&self.id, verb]), self.proof.body()?);
        self.shared.show(ask, config).await
    }

    async fn delete(self, config: Option<&Path>) -> Result<()> {
        let ask = Ask::send(Method::DELETE, path(&[&self.id]), self.proof.body()?);
        self.shared.target.open(config)?.success(ask).await?.done()?;
        match self.shared.json {
            true => print_json(&Deleted { deleted: self.id }),
            false => say!("{} is deleted.", plain(&self.id)),
        }
    }
}

impl Shared {
    /// Sends a request whose answer is a user, and prints this user.
    async fn show(&self, ask: Ask<'_>, config: Option<&Path>) -> Result<()> {
        let answer: Answer = self.target.open(config)?.success(ask).await?;
        let user: User = answer.json()?;
        if self.json {
            return say!("{}", answer.body);
        }
        let fields = [
            ("id", Some(user.id)),
            ("external id", user.external_id),
            ("username", Some(user.username)),
            ("email", user.email),
            ("full name", user.full_name),
            ("role", Some(user.role)),
            ("state", Some(if user.is_active { "active" } else { "inactive" }.to_owned())),
            ("created", Some(user.created_at)),
            ("updated", Some(user.updated_at)),
            ("version", Some(user.version.to_string())),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                say!("{name:11}  {}", plain(&value))?;
            }
        }
        Ok(())
    }
}
