//! The people of the stories: the administrator, newcomers, holders of roles, machines.

use crate::client::Client;
use crate::installation::Installation;
use crate::server::Server;
use serde_json::json;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

/// A user who is signed in. Acts as the [`Client`] that bears the access token.
pub struct Person {
    /// The user's id.
    pub id: i64,
    /// The login.
    pub username: String,
    /// The password.
    pub password: String,
    /// The refresh token.
    pub refresh: String,
    client: Client,
}

impl Deref for Person {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Person {
    /// The path of the user's record.
    pub fn path(&self) -> String {
        format!("/api/users/{}", self.id)
    }

    /// The same user, signed in once more.
    pub async fn signed_in_again(&self, server: &Server) -> Self {
        server.sign_in(&self.username, &self.password).await
    }
}

/// A password that nobody else in the story has.
pub fn fresh_password() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    format!("Gr4nite-Teapot-{:04}", 1000 + MADE.fetch_add(7, Ordering::Relaxed))
}

impl Server {
    /// The first administrator.
    pub async fn admin(&self) -> Person {
        self.sign_in("admin", Installation::ADMIN_PASSWORD).await
    }

    /// Somebody who has just registered and signed in.
    pub async fn newcomer(&self, username: &str) -> Person {
        self.register(username, false).await
    }

    /// As [`Server::newcomer`], open for mentees.
    pub async fn mentor(&self, username: &str) -> Person {
        self.register(username, true).await
    }

    async fn register(&self, username: &str, is_mentor: bool) -> Person {
        let password = fresh_password();
        let person = json!({"username": username, "password": password, "is_mentor": is_mentor});
        self.anonymous().post("/api/registration", person).await.expect(201);
        self.sign_in(username, &password).await
    }

    /// A newcomer who holds these roles and no others.
    pub async fn holder_of(&self, username: &str, roles: &[&str]) -> Person {
        let person = self.newcomer(username).await;
        let path = format!("{}/roles", person.path());
        self.admin().await.put(&path, json!({"roles": roles})).await.expect(200);
        person
    }

    /// A newcomer who may do just this.
    pub async fn permitted(&self, username: &str, permissions: &[&str]) -> Person {
        let role = format!("{username}-role");
        let body = json!({"name": role, "permissions": permissions});
        self.admin().await.post("/api/roles", body).await.expect(201);
        self.holder_of(username, &[&role]).await
    }

    /// Signs somebody in.
    pub async fn sign_in(&self, username: &str, password: &str) -> Person {
        let stranger = self.anonymous();
        let pair = stranger.post("/api/login", json!({"username": username, "password": password})).await;
        let pair = pair.expect(200);
        let client = stranger.bearing(pair.text("access"));
        let id = client.get("/api/users/me").await.expect(200).id();
        Person {
            id,
            username: username.to_owned(),
            password: password.to_owned(),
            refresh: pair.text("refresh").to_owned(),
            client,
        }
    }
}

impl Client {
    /// A machine with an API key of this user that may do just this.
    pub async fn machine(&self, name: &str, permissions: &[&str]) -> Client {
        let key =
            self.post("/api/api-keys", json!({"name": name, "permissions": permissions})).await.expect(201);
        self.bearing(key.text("secret"))
    }
}
