//! Pages and streams.

use super::face::{Face, ask, get, str_of};
use serde_json::{Value, json};

fn names(page: &Value) -> Vec<&str> {
    page["results"].as_array().unwrap().iter().map(|user| str_of(&user["username"])).collect()
}

async fn five_people() -> (Face, String) {
    let face = Face::new().await;
    for name in ["anna", "ben", "carl", "dora"] {
        face.person(name).await;
    }
    let token = face.token("anna").await;
    (face, token)
}

#[actix_web::test]
async fn a_list_is_walked_by_its_links() {
    let (face, anna) = five_people().await;
    let mut seen = Vec::new();
    let mut next = "/api/users/?ordering=-username&page_size=2".to_owned();
    let mut previous = None;
    loop {
        let page = face.send(get(&next).by(&anna)).await.expect(200).json();
        assert_eq!(page["count"], 5);
        seen.extend(names(&page).into_iter().map(str::to_owned));
        assert_eq!(page["previous"].as_str(), previous.as_deref());
        let number = if previous.is_none() { 1 } else { 2 };
        previous = Some(format!("/api/users/?ordering=-username&page_size=2&page={number}"));
        match page["next"].as_str() {
            Some(link) => next = link.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["dora", "carl", "ben", "anna", "admin"]);
}

#[actix_web::test]
async fn a_page_past_the_end_is_not_there_but_the_first_always_is() {
    let (face, anna) = five_people().await;
    let past = face.send(get("/api/users/?page=2").by(&anna)).await;
    assert_eq!(past.problem(404), "not_found");
    let empty = face.send(get("/api/users/?username=nobody").by(&anna)).await.expect(200).json();
    assert_eq!(empty, json!({"count": 0, "next": null, "previous": null, "results": []}));
}

#[actix_web::test]
async fn a_repeated_parameter_means_either() {
    let (face, anna) = five_people().await;
    let path = "/api/users/?username=ben&username=carl&username=nobody";
    let page = face.send(get(path).by(&anna)).await.expect(200).json();
    assert_eq!(names(&page), ["ben", "carl"]);
}

#[actix_web::test]
async fn all_bad_parameters_are_told_at_once() {
    let (face, anna) = five_people().await;
    let path = "/api/users/?is_mentor=maybe&ordering=nme&page=0&page_size=1001&created_at__gte=2026-01-01";
    let refused = face.send(get(path).by(&anna)).await;
    let expected = [
        "is_mentor: type",
        "created_at__gte: instant",
        "ordering: unknown",
        "page: out_of_range",
        "page_size: out_of_range",
    ];
    assert_eq!(refused.blamed(422), expected);
}

#[actix_web::test]
async fn the_trail_is_walked_there_and_back() {
    let (face, _) = five_people().await;
    let admin = face.admin().await;
    let first = "/api/audit/?action=user.registered&ordering=at&page_size=3";
    let page = face.send(get(first).by(&admin)).await.expect(200).json();
    assert!(page["previous"].is_null() && page.get("count").is_none());
    let labels = |page: &Value| -> Vec<String> {
        let results = page["results"].as_array().unwrap();
        results.iter().map(|event| str_of(&event["subject"]["label"]).to_owned()).collect()
    };
    assert_eq!(labels(&page), ["anna", "ben", "carl"]);
    let rest = face.send(get(str_of(&page["next"])).by(&admin)).await.expect(200).json();
    assert_eq!(labels(&rest), ["dora"]);
    assert!(rest["next"].is_null());
    let back = face.send(get(str_of(&rest["previous"])).by(&admin)).await.expect(200).json();
    assert_eq!(labels(&back), labels(&page));
}

#[actix_web::test]
async fn the_trail_says_who_did_what_from_where() {
    let face = Face::new().await;
    let (id, _) = face.person("anna").await;
    let admin = face.admin().await;
    let patch = ask("PATCH", &format!("/api/users/{id}")).by(&admin).with("X-Request-Id", "r-1");
    face.send(patch.with("User-Agent", "test").json(&json!({"is_mentor": true}))).await.expect(200);
    let trail = face.send(get(&format!("/api/audit/?subject=user&subject_id={id}")).by(&admin)).await;
    let event = trail.expect(200).json()["results"][0].clone();
    assert_eq!((&event["action"], &event["actor_name"]), (&json!("user.updated"), &json!("admin")));
    assert_eq!(
        (&event["before"], &event["after"]),
        (&json!({"is_mentor": false}), &json!({"is_mentor": true}))
    );
    let origin = (&event["address"], &event["agent"], &event["request_id"]);
    assert_eq!(origin, (&json!("192.0.2.7"), &json!("test"), &json!("r-1")));
}

#[actix_web::test]
async fn a_cursor_that_is_not_ours_is_refused() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let refused = face.send(get("/api/audit/?cursor=42").by(&admin)).await;
    assert_eq!(refused.problem(400), "malformed_cursor");
    let (_, anna) = face.person("anna").await;
    assert_eq!(face.send(get("/api/audit/").by(&anna)).await.problem(403), "permission_required");
}
