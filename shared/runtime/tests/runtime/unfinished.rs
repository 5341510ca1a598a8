//! Calls whose client waits no longer: first the answer, then the rest of the call, then what it has to tell others.

use std::time::{Duration, Instant};

use chat_runtime::{Function, Invocation};
use chat_testing::{Seen, WAIT_MAX};
use futures::FutureExt;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::echo::Echo;
use crate::operations::settings;
use crate::process::{returned, start};
use crate::{events, gateway};

/// Where something of a call arrives.
struct Arrivals(TcpListener);

impl Arrivals {
    async fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    async fn next(&self) -> TcpStream {
        timeout(WAIT_MAX, self.0.accept()).await.unwrap().unwrap().0
    }

    fn is_none(&self) -> bool {
        self.0.accept().now_or_never().is_none()
    }
}

/// A call that goes on until the connection that it makes there is closed, and then notifies bob. Its client waits for
/// 50 ms.
fn impatient(gate: &Arrivals) -> Value {
    let mut event = events::grpc_web(&format!("notify after 127.0.0.1:{}", gate.port()));
    event["headers"]["grpc-timeout"] = "50m".into();
    event
}

async fn invoke(registry: &Arrivals, event: &Value, left: Duration) -> Invocation {
    let function = Function::operation::<Echo>();
    let mut environment = function.environment(&settings(registry.port())).unwrap();
    let event = event.to_string();
    let invoked = environment.invoke(event.as_bytes(), Instant::now() + left).await;
    invoked.unwrap()
}

#[tokio::test]
async fn a_function_answers_then_finishes_the_call_then_delivers_then_asks_for_more() {
    let (gate, registry) = (Arrivals::listen().await, Arrivals::listen().await);
    let calls = [
        (impatient(&gate), Duration::from_secs(2)),
        (events::grpc_web("hi"), WAIT_MAX),
    ];
    let mut function = start(registry.port(), calls).await;
    assert!(matches!(function.seen().await.1, Seen::Next));
    let held = gate.next().await;
    assert_eq!(returned(&mut function).await.grpc_status(), 4);

    // The call goes on: nothing is delivered yet, and no event is asked for.
    assert!(registry.is_none());
    assert!(function.seen_already().is_none());
    drop(held);
    // Keeping silent holds delivery up until the invocation's time is over.
    let _silent = registry.next().await;
    let (_, next) = function.seen().await;
    assert!(matches!(next, Seen::Next), "{next:?}");
    assert_eq!(returned(&mut function).await.grpc_status(), 0);
}

#[tokio::test]
async fn an_environment_finishes_the_call_after_its_answer_and_delivers_then() {
    let (gate, registry) = (Arrivals::listen().await, Arrivals::listen().await);
    let left = Duration::from_secs(2);
    let invocation = invoke(&registry, &impatient(&gate), left).await;
    assert_eq!(gateway::Answer::of(&invocation.response).grpc_status(), 4);
    let held = gate.next().await;
    assert!(registry.is_none());
    let telling = async {
        drop(held);
        registry.next().await
    };
    let start = Instant::now();
    let (_silent, ()) = tokio::join!(telling, invocation.after_answer);
    assert!(start.elapsed() < left);
}

#[tokio::test]
async fn the_rest_of_a_call_ends_with_the_invocations_time() {
    let (gate, registry) = (Arrivals::listen().await, Arrivals::listen().await);
    let left = Duration::from_secs(1);
    let start = Instant::now();
    let invocation = invoke(&registry, &impatient(&gate), left).await;
    let _held = gate.next().await;
    invocation.after_answer.await;
    let duration = start.elapsed();
    assert!(
        duration < left && duration + Duration::from_millis(210) >= left,
        "{duration:?}"
    );
    assert!(registry.is_none());
}

/// Waits for an arrival at `to`, having turned away whatever arrives at the registry until then.
async fn turning_away(registry: &Arrivals, to: &Arrivals) -> TcpStream {
    loop {
        tokio::select! {
            arrived = to.next() => return arrived,
            turned_away = registry.next() => drop(turned_away),
        }
    }
}

#[tokio::test]
async fn sealing_comes_after_the_answer_and_after_delivery() {
    let [gate, registry, sealing] = [(); 3].map(|()| Arrivals::listen());
    let (gate, registry, sealing) = tokio::join!(gate, registry, sealing);
    let at_once = events::grpc_web(&format!("notify sealing 127.0.0.1:{}", sealing.port()));
    let mut late = impatient(&gate);
    let body = format!(
        "notify after 127.0.0.1:{} sealing 127.0.0.1:{}",
        gate.port(),
        sealing.port()
    );
    late["body"] = events::grpc_web(&body)["body"].clone();
    for (event, code) in [(at_once, 0), (late, 4)] {
        let invocation = invoke(&registry, &event, WAIT_MAX).await;
        assert_eq!(gateway::Answer::of(&invocation.response).grpc_status(), code);
        assert!(registry.is_none() && sealing.is_none(), "the answer comes first");
        let seen = async {
            if code != 0 {
                let held = gate.next().await;
                assert!(registry.is_none() && sealing.is_none(), "the call comes next");
                drop(held);
            }
            let delivery = registry.next().await;
            assert!(sealing.is_none(), "delivery comes next");
            drop(delivery);
            turning_away(&registry, &sealing).await
        };
        tokio::join!(seen, invocation.after_answer);
    }
}

#[tokio::test]
async fn a_panic_while_sealing_does_no_harm() {
    let registry = Arrivals::listen().await;
    let mut environment = Function::operation::<Echo>()
        .environment(&settings(registry.port()))
        .unwrap();
    for text in ["hi sealing nowhere", "hi"] {
        let event = events::grpc_web(text).to_string();
        let invoked = environment
            .invoke(event.as_bytes(), Instant::now() + WAIT_MAX)
            .await
            .unwrap();
        assert_eq!(gateway::Answer::of(&invoked.response).grpc_status(), 0);
        invoked.after_answer.await;
    }
}

#[tokio::test]
async fn what_a_refused_call_did_all_the_same_is_told_after_its_answer() {
    let registry = Arrivals::listen().await;
    let invocation = invoke(&registry, &events::grpc_web("tell"), Duration::from_secs(2)).await;
    assert_eq!(gateway::Answer::of(&invocation.response).grpc_status(), 9);
    assert!(registry.is_none());
    let (_silent, ()) = tokio::join!(registry.next(), invocation.after_answer);
}
