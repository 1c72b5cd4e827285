//! The requests to the API.

use anyhow::Result;

use crate::site::client::{Answer, Client};

/// One request, and the status that its answer must have.
pub(super) struct Call {
    method: &'static str,
    path: String,
    body: String,
    status: u16,
}

impl Call {
    fn get(path: String) -> Self {
        Call { method: "GET", path: format!("/api/v1/{path}"), body: String::new(), status: 200 }
    }

    fn with_body(method: &'static str, path: &str, body: String, status: u16) -> Self {
        Call { method, path: format!("/api/v1/{path}"), body, status }
    }

    pub(super) fn statistics() -> Self {
        Self::get("users/statistics".into())
    }

    pub(super) fn dashboard() -> Self {
        Self::get("dashboard/statistics".into())
    }

    pub(super) fn validate() -> Self {
        Self::get("auth/validate".into())
    }

    pub(super) fn list(page: u32) -> Self {
        Self::get(format!("users?page={page}"))
    }

    pub(super) fn details(id: &str) -> Self {
        Self::get(format!("users/{id}/details"))
    }

    pub(super) fn profile(id: &str) -> Self {
        Self::get(format!("users/{id}/profile"))
    }

    pub(super) fn full_profile(id: &str) -> Self {
        Self::get(format!("users/{id}/full-profile"))
    }

    pub(super) fn achievements(id: &str) -> Self {
        Self::get(format!("users/{id}/achievements"))
    }

    pub(super) fn achievement_summary(id: &str) -> Self {
        Self::get(format!("users/{id}/achievements/summary"))
    }

    pub(super) fn achievement_stats(id: &str) -> Self {
        Self::get(format!("users/{id}/achievements/stats"))
    }

    pub(super) fn leaderboard(limit: u32, offset: u32) -> Self {
        Self::get(format!("leaderboard?limit={limit}&offset={offset}"))
    }

    /// Looks a user up by `email` or `username`.
    pub(super) fn lookup(field: &str, name: &str) -> Self {
        Self::with_body("POST", "users/lookup", format!(r#"{{"{field}":"{name}"}}"#), 200)
    }

    pub(super) fn edit_profile(id: &str, luck: u32) -> Self {
        let body = format!(r#"{{"bio":"changed {luck}"}}"#);
        Self::with_body("PATCH", &format!("users/{id}/profile"), body, 200)
    }

    pub(super) fn edit_preferences(id: &str, luck: u32) -> Self {
        let theme = ["system", "light", "dark"][luck as usize % 3];
        let body = format!(r#"{{"theme":"{theme}","email_notifications":{}}}"#, luck.is_multiple_of(2));
        Self::with_body("PATCH", &format!("users/{id}/preferences"), body, 200)
    }

    /// `name` is unique for each booking.
    pub(super) fn book_points(id: &str, name: u64) -> Self {
        let body = format!(r#"{{"amount":25,"reason":"a finished course","idempotency_key":"load-{name}"}}"#);
        Self::with_body("POST", &format!("users/{id}/points"), body, 201)
    }

    /// `name` is unique for each badge, because a badge is awarded once.
    pub(super) fn award(id: &str, name: u64) -> Self {
        let body = format!(r#"{{"user_id":"{id}","badge_type":"load_{name}","points":10}}"#);
        Self::with_body("POST", "achievements/award", body, 201)
    }

    /// Sends the request. Fails unless the answer has the right status.
    pub(super) async fn send(&self, client: &mut Client) -> Result<Answer> {
        client.expect(self.status, self.method, &self.path, &self.body).await
    }
}
