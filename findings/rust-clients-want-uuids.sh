#!/usr/bin/env bash
# AG-UI's Rust clients: an id of a thread, run or message that is no UUID makes the event an error, so nothing is read of an
# agent that uses the ids of its model (Anthropic, OpenAI) or of LangGraph; the protocol says that ids are strings. And a comment
# of SSE, with which servers keep a silent stream open, is an event without data to ag-ui-client: an error each time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
ag-ui-client = "=0.1.0"
ag-ui-core = "=0.1.0"
syncable-ag-ui-core = "=0.2.1"
futures = "0.3"
serde_json = "1"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
TOML
cat >src/main.rs <<'RUST'
use ag_ui_client::{Agent, HttpAgent};
use ag_ui_core::types::ids::{RunId, ThreadId};
use ag_ui_core::types::input::RunAgentInput;
use futures::StreamExt;
use serde_json::{json, Value};
use std::io::{Read, Write};
use std::net::TcpListener;

const UUID: &str = "7b1fd9a2-54d5-4a0e-9d0f-3f5f2ab0c6e1";

/// Answers one request with these SSE frames.
fn serve(frames: &[String]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let body = frames.iter().map(|frame| format!("{frame}\n\n")).collect::<String>();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut request, mut part) = (String::new(), [0; 4096]);
        while !request.contains("forwardedProps") {
            let read = socket.read(&mut part).unwrap();
            request.push_str(&String::from_utf8_lossy(&part[..read]));
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
    url
}

async fn read(frames: &[String]) -> String {
    let agent = HttpAgent::builder().with_url_str(&serve(frames)).unwrap().build().unwrap();
    let input: RunAgentInput =
        RunAgentInput::new(ThreadId::random(), RunId::random(), json!({}), vec![], vec![], vec![], json!({}));
    let mut events = agent.run(&input).await.unwrap();
    let mut seen = vec![];
    while let Some(event) = events.next().await {
        seen.push(if event.is_ok() { "event" } else { "error" });
    }
    seen.join(" ")
}

#[tokio::main]
async fn main() {
    let names = [("UUID", UUID), ("Anthropic", "msg_01XFDUDYJgAACzvnptvVoYEL"), ("OpenAI", "chatcmpl-9x2b"), ("LangGraph", "lc_run--7b1fd9a2")];
    for (name, id) in names {
        let event = json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": id, "delta": "words" }).to_string();
        let first = serde_json::from_str::<ag_ui_core::event::Event<Value>>(&event).is_ok();
        let second = serde_json::from_str::<syncable_ag_ui_core::Event<Value>>(&event).is_ok();
        println!("{name}: ag-ui-core 0.1.0 {first}, syncable-ag-ui-core 0.2.1 {second}");
    }
    let start = format!("data: {}", json!({ "type": "RUN_STARTED", "threadId": UUID, "runId": UUID }));
    let end = format!("data: {}", json!({ "type": "RUN_FINISHED", "threadId": UUID, "runId": UUID }));
    println!("ag-ui-client 0.1.0: {}", read(&[start.clone(), end.clone()]).await);
    println!("ag-ui-client 0.1.0, a comment between: {}", read(&[start, ": keep-alive".into(), end]).await);
}
RUST
got=$(cargo run --quiet 2>/dev/null)
echo "$got"
# Seen on 2026-11-28, Rust 1.95.0.
expected='UUID: ag-ui-core 0.1.0 true, syncable-ag-ui-core 0.2.1 true
Anthropic: ag-ui-core 0.1.0 false, syncable-ag-ui-core 0.2.1 false
OpenAI: ag-ui-core 0.1.0 false, syncable-ag-ui-core 0.2.1 false
LangGraph: ag-ui-core 0.1.0 false, syncable-ag-ui-core 0.2.1 false
ag-ui-client 0.1.0: event event
ag-ui-client 0.1.0, a comment between: event error event'
[ "$got" = "$expected" ] || { echo 'not as it was seen' >&2; exit 1; }
