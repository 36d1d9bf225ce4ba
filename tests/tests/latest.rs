//! What is newest of many machines, in one call.

use tests::plant::{Machine, second};
use tests::{Backend, Client, Person, Reply, Server, Value, json, stories};

/// The machines that an answer tells of.
fn told_of(reply: &Reply) -> Vec<Value> {
    reply.column("equipment")
}

fn ids(machines: &[&Machine]) -> Vec<Value> {
    machines.iter().map(|machine| json!(machine.id)).collect()
}

async fn some_plant(admin: &Person) -> (Machine, Machine, Machine) {
    let with = |name: &str, kind: &str, place: &str| json!({"name": name, "type": kind, "location": place});
    let press = admin.machine_with(with("Press", "press", "plant-1/line-1")).await;
    let robot = admin.machine_with(with("Robot", "robot", "plant-1/line-2")).await;
    let silent = admin.machine_with(with("Silent", "robot", "plant-2")).await;
    let readings = json!([
        press.reading(0, json!({"temperature": 20, "speed": 3})),
        press.reading(1, json!({"temperature": 21.5})),
        robot.reading(5, json!({"speed": 7})),
    ]);
    admin.post("/api/data", readings).await.expect(201);
    (press, robot, silent)
}

async fn text(client: &Client, path: &str) -> String {
    String::from_utf8(client.get(path).await.expect(200).bytes).unwrap()
}

stories! {
    async fn what_is_newest_of_all_machines_is_told_in_one_answer(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        assert_eq!(admin.get("/api/latest").await.expect(200).json, json!({"results": []}));
        let (press, robot, silent) = some_plant(&admin).await;
        let all = admin.get("/api/latest").await.expect(200);
        assert_eq!(all["results"], json!([
            {"equipment": press.id, "last_seen_at": second(1), "latest": [
                {"timestamp": second(1), "values": {"temperature": 21.5}},
                {"timestamp": second(0), "values": {"speed": 3}},
            ]},
            {"equipment": robot.id, "last_seen_at": second(5), "latest": [
                {"timestamp": second(5), "values": {"speed": 7}},
            ]},
            {"equipment": silent.id, "last_seen_at": null, "latest": []},
        ]));
        admin.report(&robot, &[(6, 40.0)]).await;
        let one = admin.get(&format!("/api/latest?equipment={}&metric=temperature", robot.id)).await.expect(200);
        assert_eq!(one["results"][0]["latest"], json!([{"timestamp": second(6), "values": {"temperature": 40}}]));
        admin.delete(&robot.path()).await.expect(204);
        assert_eq!(told_of(&admin.get("/api/latest").await.expect(200)), ids(&[&press, &silent]));
    }

    async fn machines_are_chosen_as_in_the_register(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let (press, robot, silent) = some_plant(&admin).await;
        for (query, expected) in [
            ("type=robot", vec![&robot, &silent]),
            ("location__under=plant-1", vec![&press, &robot]),
            ("search=pre&status=operational", vec![&press]),
            ("type=robot&location=plant-2", vec![&silent]),
            ("type=lathe", vec![]),
        ] {
            let chosen = admin.get(&format!("/api/latest?{query}")).await.expect(200);
            assert_eq!(told_of(&chosen), ids(&expected), "{query}");
        }
        let query = format!("equipment={}&equipment={}&equipment=999999", silent.id, press.id);
        let chosen = admin.get(&format!("/api/latest?{query}")).await.expect(200);
        assert_eq!(told_of(&chosen), ids(&[&press, &silent]));
        admin.get("/api/latest?colour=red").await.expect(400);
        admin.get("/api/latest?equipment=x").await.expect(422);
    }

    async fn nobody_is_told_of_machines_that_they_do_not_reach(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let (press, robot, _) = some_plant(&admin).await;
        admin.get("/api/latest").await.expect(200);
        let rights = ["equipment:read", "data:read"];
        let body = json!({"name": "gateway", "permissions": rights, "equipment": [robot.id]});
        let secret = admin.post("/api/api-keys", body).await.expect(201);
        let key = admin.bearing(secret.text("secret"));
        for query in ["", &format!("?equipment={}&equipment={}", press.id, robot.id)] {
            assert_eq!(told_of(&key.get(&format!("/api/latest{query}")).await.expect(200)), ids(&[&robot]));
        }
        let other = key.get(&format!("/api/latest?equipment={}", press.id)).await.expect(200);
        assert_eq!(other["results"], json!([]));
        let reader = server.permitted("reader", &["data:read"]).await;
        assert_eq!(told_of(&reader.get("/api/latest").await.expect(200)).len(), 3);
        reader.get("/api/latest?type=robot").await.expect(403);
        server.permitted("nobody", &["equipment:read"]).await.get("/api/latest").await.expect(403);
        server.anonymous().get("/api/latest").await.expect(401);
    }

    async fn it_comes_as_lines_or_as_csv_for_whoever_wants_that(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let (press, robot, _) = some_plant(&admin).await;
        let csv = text(&admin, "/api/latest?format=csv&metric=speed").await;
        let rows = format!(
            "equipment,metric,timestamp,value\n{},speed,{},3\n{},speed,{},7\n",
            press.id, second(0), robot.id, second(5)
        );
        assert_eq!(csv, rows);
        let lines = admin.get("/api/latest").header("accept", "application/x-ndjson").await.expect(200);
        let lines = String::from_utf8(lines.bytes).unwrap();
        let told: Vec<Value> = lines.lines().map(|line| line.parse::<Value>().unwrap()["equipment"].clone()).collect();
        assert_eq!(told.len(), 3);
        admin.get("/api/latest?format=csv").header("accept", "application/json").await.expect(406);
    }
}
