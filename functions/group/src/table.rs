//! That Postgres, which decides under the lock, has the table of rights that the rules have.

use chat_domain::{GroupSettings, NAMED_MEMBERS_MAX, Permission, Permissions, Role};
use chat_testing::Fixture;
use sqlx::Connection as _;

use crate::scene::Scene;

const ROLES: [Role; 3] = [Role::Member, Role::Admin, Role::Owner];

#[tokio::test]
async fn postgres_allows_what_the_table_allows() {
    let fixture = Fixture::new().await;
    let mut session = fixture.connect_postgres().await;
    let none = Permissions::NONE;
    let quiet = GroupSettings::new(none, none, false).unwrap();
    let open = GroupSettings::new(Permissions::FOR_MEMBERS, Permissions::FOR_ADMINS, true).unwrap();
    let own = [Permission::TransferOwnership, Permission::DeleteGroup];
    for settings in [GroupSettings::default(), quiet, open] {
        for (role, permission) in ROLES
            .into_iter()
            .flat_map(|role| Permission::GRANTABLE.into_iter().chain(own).map(move |it| (role, it)))
        {
            let may: bool = sqlx::query_scalar("SELECT may($1, $2, $3, $4)")
                .bind(role.as_str())
                .bind(settings.member_may.bits())
                .bind(settings.admin_may.bits())
                .bind(none.and(permission).bits())
                .fetch_one(&mut session)
                .await
                .unwrap();
            assert_eq!(
                may,
                settings.allows(role, permission),
                "{role:?} {permission:?} {settings:?}"
            );
        }
    }
}

#[tokio::test]
async fn postgres_names_as_many_members_as_the_rules_say() {
    let fixture = Fixture::new().await;
    let max: i32 = sqlx::query_scalar("SELECT named_members_max()")
        .fetch_one(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(usize::try_from(max), Ok(NAMED_MEMBERS_MAX));
}

#[tokio::test]
async fn a_count_that_went_wrong_between_migrations_is_right_after_the_last() {
    let scene = Scene::new().await;
    scene.remove("olga", "max", "1").await.unwrap();
    scene.count_members_as(7).await;
    let mut session = scene.fixture.connect_postgres().await;
    let recount = include_str!("../../../shared/stores/migrations/0008_member_counts.sql");
    let mut transaction = session.begin().await.unwrap();
    sqlx::raw_sql(recount).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let group = scene.seen_by("olga").await.unwrap().group.unwrap();
    assert_eq!(group.member_count, 3);
}

#[tokio::test]
async fn postgres_ranks_roles_as_the_table_does() {
    let fixture = Fixture::new().await;
    let mut session = fixture.connect_postgres().await;
    for one in ROLES {
        for other in ROLES {
            let is_higher: bool = sqlx::query_scalar("SELECT rank_of($1) > rank_of($2)")
                .bind(one.as_str())
                .bind(other.as_str())
                .fetch_one(&mut session)
                .await
                .unwrap();
            assert_eq!(is_higher, one > other, "{one:?} {other:?}");
        }
    }
}
