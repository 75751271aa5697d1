//! Who one must be: tokens, passwords, and what is said when that fails.

use oci::image::{Credentials, Login};

use super::ground::Ground;
use super::layers::{Layer, Made, image};
use super::registry::{Door, Fault, Registry};

/// `me:secret` in base64.
const ME: &str = "Basic bWU6c2VjcmV0";

fn made() -> Made {
    image([Layer::new().file("a", "1"), Layer::new().file("b", "2")])
}

fn password(registry: &Registry, password: &str) -> Credentials {
    let login = Login::Password { username: "me".to_owned(), password: password.to_owned() };
    Credentials { registry: registry.address().to_owned(), login }
}

#[tokio::test]
async fn nobody_gets_a_token_too_and_keeps_it() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let name = registry.push("app", &made());
    registry.guard(Door::token(None));
    ground.pull(&name).await.unwrap();
    ground.pull(&name).await.unwrap();
    assert_eq!(registry.asked_for("/token?"), 1, "{:?}", registry.asked());
    let query = "GET /token?scope=repository%3Aapp%3Apull&service=fake";
    assert!(registry.asked().contains(&query.to_owned()), "{:?}", registry.asked());
}

#[tokio::test]
async fn a_token_that_expired_is_not_used_again() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let name = registry.push("app", &made());
    registry.guard(Door { expires_in: 0, ..Door::token(None) });
    ground.pull(&name).await.unwrap();
    ground.pull(&name).await.unwrap();
    assert_eq!(registry.asked_for("/token?"), 2, "{:?}", registry.asked());
}

#[tokio::test]
async fn a_token_that_became_worthless_is_replaced() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let name = registry.push("app", &made());
    registry.guard(Door::token(None));
    ground.pull(&name).await.unwrap();
    registry.expire();
    ground.pull(&name).await.unwrap();
    assert_eq!(registry.asked_for("/token?"), 2, "{:?}", registry.asked());
}

#[tokio::test]
async fn a_password_is_for_the_token_or_for_the_registry_itself() {
    let Some(ground) = Ground::new() else { return };
    for basic in [false, true] {
        let registry = Registry::start().await;
        let name = registry.push("app", &made());
        registry.guard(Door { basic, ..Door::token(Some(ME)) });
        ground.pull_as(&name, &[password(&registry, "secret")]).await.unwrap();
        let error = ground.pull_as(&name, &[password(&registry, "guess")]).await.unwrap_err().message();
        let address = registry.address();
        let start = format!("failed to pull image {name}: {address} answers 401 Unauthorized");
        assert!(error.starts_with(&start) && error.contains("imagePullSecrets"), "{error}");
        assert!(!error.contains("guess"));
    }
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_a_form() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let name = registry.push("app", &made());
    let form = "scope=repository%3Aapp%3Apull&service=fake&grant_type=refresh%5Ftoken&client_id=skiff&refresh_token=to%2Fken";
    registry.guard(Door::token(Some(form)));
    let login = Login::IdentityToken("to/ken".to_owned());
    let credentials = Credentials { registry: registry.address().to_owned(), login };
    ground.pull_as(&name, &[credentials]).await.unwrap();
    assert_eq!(registry.asked_for("POST /token"), 1);
}

#[tokio::test]
async fn of_several_pull_secrets_one_that_works_is_enough() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let name = registry.push("app", &made());
    registry.guard(Door { basic: true, ..Door::token(Some(ME)) });
    let elsewhere = Credentials { registry: "quay.io".to_owned(), ..password(&registry, "secret") };
    let logins = [elsewhere, password(&registry, "old"), password(&registry, "secret")];
    ground.pull_as(&name, &logins).await.unwrap();
}

#[tokio::test]
async fn where_a_registry_sends_us_nobody_learns_the_password() {
    let Some(ground) = Ground::new() else { return };
    let (registry, store) = (Registry::start().await, Registry::start().await);
    let image = made();
    let name = registry.push("app", &image);
    registry.guard(Door { basic: true, ..Door::token(Some(ME)) });
    for layer in &image.layers {
        store.put(&format!("/{}", layer.digest()), layer);
        let there = format!("http://{}/{}?signature=x", store.address(), layer.digest());
        registry.fault(&format!("/v2/app/blobs/{}", layer.digest()), Fault::Redirect(there));
    }
    ground.pull_as(&name, &[password(&registry, "secret")]).await.unwrap();
    assert_eq!(
        (store.asked_for("signature=x"), store.asked_for("authorized")),
        (2, 0),
        "{:?}",
        store.asked()
    );
    assert!(registry.asked_for("authorized") > 0);
}
