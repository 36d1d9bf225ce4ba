//! Promises about what is a component of what.

use crate::Database;
use crate::builders::{a_component, a_piece, at, no_piece};
use crate::database::{assert_dangling, refused};
use domain::equipment::{Details, Equipment};
use domain::id::EquipmentId;
use domain::ports::{Reference, StoreError};

async fn above(database: &Database, id: EquipmentId) -> Vec<EquipmentId> {
    database.reader().await.equipment().above(id).await.unwrap()
}

async fn component(database: &Database, name: &str, parent: EquipmentId) -> EquipmentId {
    database.register(&a_component(name, parent)).await.id
}

fn moved(piece: &Equipment, parent: Option<EquipmentId>) -> Equipment {
    Equipment { details: Details { parent, ..piece.details.clone() }, ..piece.clone() }
}

pub async fn a_parent_that_does_not_exist_dangles(database: Database) {
    let orphan = a_component("orphan", no_piece());
    let refusal = database.refusal(async |unit| unit.equipment().insert(&orphan).await).await;
    assert_dangling(refusal, Reference::Equipment);

    let press = database.register(&a_piece("press")).await;
    let changed = moved(&press, Some(no_piece()));
    let refusal = database.refusal(async |unit| unit.equipment().save(&changed).await).await;
    assert_dangling(refusal, Reference::Equipment);
    assert_eq!(database.equipment(press.id).await, Some(press));
}

pub async fn a_component_may_move_and_stand_alone_again(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let mut arm = database.register(&a_component("arm", press)).await;
    for parent in [Some(robot), None, Some(press)] {
        arm = database.save_equipment(&moved(&arm, parent)).await;
        assert_eq!(database.equipment(arm.id).await.unwrap().details.parent, parent);
    }
}

pub async fn what_is_above_a_piece_is_named_from_the_nearest_up(database: Database) {
    let line = database.piece("line").await;
    let robot = component(&database, "robot", line).await;
    let arm = component(&database, "arm", robot).await;
    let gripper = component(&database, "gripper", arm).await;
    component(&database, "another arm", robot).await;
    assert_eq!(above(&database, gripper).await, [arm, robot, line]);
    assert_eq!(above(&database, robot).await, [line]);
    assert!(above(&database, line).await.is_empty());
}

pub async fn what_is_hidden_is_still_above_its_components(database: Database) {
    let line = database.piece("line").await;
    let robot = component(&database, "robot", line).await;
    let arm = component(&database, "arm", robot).await;
    database.hide(robot).await;
    assert_eq!(above(&database, arm).await, [robot, line]);
    assert_eq!(database.equipment(arm).await.unwrap().details.parent, Some(robot));
}

pub async fn climbing_the_tree_ends_even_in_a_circle(database: Database) {
    let line = database.register(&a_piece("line")).await;
    let robot = component(&database, "robot", line.id).await;
    let below = component(&database, "below", robot).await;
    let line = database.save_equipment(&moved(&line, Some(robot))).await.id;
    assert!(above(&database, line).await.contains(&robot));
    let climbed = above(&database, below).await;
    assert!(climbed.contains(&line) && climbed.contains(&robot));
}

pub async fn what_is_above_is_seen_deeper_than_anybody_may_nest(database: Database) {
    let mut expected = vec![database.piece("top").await];
    for _ in 0..domain::equipment::DEEPEST + 8 {
        let deeper = component(&database, "deeper", expected[0]).await;
        expected.insert(0, deeper);
    }
    let lowest = expected.remove(0);
    assert_eq!(above(&database, lowest).await, expected);
}

pub async fn levels_below_a_piece_are_counted_along_its_longest_branch(database: Database) {
    let line = database.piece("line").await;
    let robot = component(&database, "robot", line).await;
    let arm = component(&database, "arm", robot).await;
    component(&database, "another arm", robot).await;
    component(&database, "belt", line).await;
    component(&database, "gripper", arm).await;
    database.hide(arm).await;
    let mut reader = database.reader().await;
    for (piece, most, expected) in [
        (line, 9, 3),
        (robot, 9, 2),
        (arm, 9, 1),
        (no_piece(), 9, 0),
        (line, 3, 3),
        (line, 2, 2),
        (line, 0, 0),
    ] {
        assert_eq!(reader.equipment().levels_below(piece, most).await.unwrap(), expected, "{piece} {most}");
    }
}

pub async fn counting_levels_ends_even_in_a_circle(database: Database) {
    let line = database.register(&a_piece("line")).await;
    let robot = component(&database, "robot", line.id).await;
    let line = database.save_equipment(&moved(&line, Some(robot))).await.id;
    assert_eq!(database.reader().await.equipment().levels_below(line, 5).await.unwrap(), 5);
}

pub async fn components_of_a_purged_piece_lose_their_parent_and_count_it_as_a_write(database: Database) {
    let line = database.piece("line").await;
    let robot = database.register(&a_component("robot", line)).await;
    let hidden = component(&database, "hidden", line).await;
    let hidden = database.hide(hidden).await;
    let arm = database.register(&a_component("arm", robot.id)).await;
    let other = database.register(&a_piece("other")).await;

    assert!(database.purge(line).await);

    for piece in [robot, hidden] {
        let expected = Equipment { version: piece.version.next(), updated_at: at(60), ..moved(&piece, None) };
        assert_eq!(database.equipment(piece.id).await, Some(expected));
    }
    assert_eq!(database.equipment(arm.id).await, Some(arm));
    assert_eq!(database.equipment(other.id).await, Some(other));
}

pub async fn a_purged_component_leaves_its_parent_as_it_was(database: Database) {
    let line = database.register(&a_piece("line")).await;
    let robot = component(&database, "robot", line.id).await;
    assert!(database.purge(robot).await);
    assert_eq!(database.equipment(line.id).await, Some(line));
}

pub async fn a_piece_purged_in_an_open_unit_gains_no_component_meanwhile(database: Database) {
    let line = database.piece("line").await;
    let mut first = database.begin().await;
    assert!(first.equipment().delete(line, at(1)).await.unwrap());
    let mut adding =
        database.meanwhile(async move |mut unit| unit.equipment().insert(&a_component("robot", line)).await);
    adding.waits().await;
    first.commit().await.unwrap();
    assert_dangling(refused(adding.outcome().await), Reference::Equipment);
}

pub async fn a_component_gained_in_an_open_unit_is_set_free_by_who_waits_for_the_tree(database: Database) {
    let line = database.piece("line").await;
    let mut first = database.begin().await;
    first.equipment().lock_tree().await.unwrap();
    let robot = first.equipment().insert(&a_component("robot", line)).await.unwrap();
    let mut purging = database.meanwhile(async move |mut unit| {
        unit.equipment().lock_tree().await?;
        let purged = unit.equipment().delete(line, at(1)).await?;
        unit.commit().await?;
        Ok::<_, StoreError>(purged)
    });
    purging.waits().await;
    first.commit().await.unwrap();
    assert!(purging.outcome().await.unwrap());
    let expected = Equipment { version: robot.version.next(), updated_at: at(1), ..moved(&robot, None) };
    assert_eq!(database.equipment(robot.id).await, Some(expected));
}
