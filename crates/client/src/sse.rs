// SPDX-License-Identifier: GPL-3.0-or-later
//! Server-sent events: messages out of a stream of bytes, and a stream that comes back when lost.

use std::{collections::VecDeque, time::Duration};

use http_body_util::BodyExt;
use hyper::{
    Request,
    body::Incoming,
    header::{self, HeaderName},
};
use tokio::time::Instant;

use crate::{
    Client, ClientError, Result,
    request::{Body, Call},
};

/// How large one message may be.
const MAX_MESSAGE: usize = 4 << 20;
/// How long to wait before the first and before each later attempt to come back, at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long a lost daemon is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// One message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The place in the stream to resume from.
    pub(crate) id: Option<String>,
    /// What it says; empty for a message that only tells the place.
    pub(crate) data: String,
}

/// Makes messages of bytes that come in pieces of any size.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    message: Message,
    messages: VecDeque<Message>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line();
            } else {
                self.line.push(*byte);
                if self.line.len() + self.message.data.len() > MAX_MESSAGE {
                    let text = format!("an event has more than {MAX_MESSAGE} bytes");
                    return Err(ClientError::Protocol(text));
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            if message != Message::default() {
                self.messages.push_back(message);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.message.id = Some(value.to_owned()),
            "data" => {
                if !self.message.data.is_empty() {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            // Comments keep the connection alive; other fields are not used.
            _ => {}
        }
    }
}

/// Messages of an address, which go on where they were when the connection is lost.
#[derive(Debug)]
pub(crate) struct Feed {
    client: Client,
    connected: Option<(Incoming, Parser)>,
    /// The place to resume from.
    last_id: Option<String>,
    /// Since when the daemon has not been reached, and how long to wait before the next attempt.
    lost: Option<(Instant, Duration)>,
}

impl Feed {
    pub(crate) fn new(client: Client, last_id: Option<String>) -> Self {
        Self {
            client,
            connected: None,
            last_id,
            lost: None,
        }
    }

    /// The next message, however long that takes. It is an error if the daemon refuses, or can't
    /// be reached for a minute.
    pub(crate) async fn next(&mut self, call: impl Fn() -> Call) -> Result<Message> {
        loop {
            match self.read(&call).await {
                Ok(Some(message)) => {
                    if message.id.is_some() {
                        self.last_id.clone_from(&message.id);
                    }
                    if !message.data.is_empty() {
                        return Ok(message);
                    }
                }
                Ok(None) => self.connected = None,
                Err(error) => {
                    self.connected = None;
                    self.back_off(error).await?;
                }
            }
        }
    }

    /// The next message of this connection, or of a new one; nothing if it ended.
    async fn read(&mut self, call: &impl Fn() -> Call) -> Result<Option<Message>> {
        if self.connected.is_none() {
            let request = self.request(call())?;
            let response = self.client.send(request).await?;
            self.connected = Some((response.into_body(), Parser::default()));
        }
        let Some((body, parser)) = &mut self.connected else {
            return Ok(None);
        };
        loop {
            if let Some(message) = parser.messages.pop_front() {
                self.lost = None;
                return Ok(Some(message));
            }
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        parser.push(bytes)?;
                    }
                }
                Some(Err(error)) => return Err(self.client.broken(&error)),
                None => {
                    let why = "the daemon ended the stream".to_owned();
                    return Err(ClientError::Unreachable {
                        socket: self.client.socket(),
                        why,
                    });
                }
            }
        }
    }

    fn request(&self, call: Call) -> Result<Request<Body>> {
        let mut call = call.header(header::ACCEPT, "text/event-stream");
        if let Some(id) = &self.last_id {
            call = call.header(HeaderName::from_static("last-event-id"), id);
        }
        call.into_request(&self.client, None)
    }

    /// Waits a little longer each time, until patience ends or it makes no sense.
    async fn back_off(&mut self, error: ClientError) -> Result<()> {
        let may_pass = match &error {
            ClientError::Unreachable { .. } => true,
            ClientError::Problem(problem) => problem.status == 503,
            ClientError::Protocol(_)
            | ClientError::OtherHost { .. }
            | ClientError::Unknown { .. } => false,
        };
        let (since, wait) = self.lost.unwrap_or((Instant::now(), BACK_OFF.0));
        if !may_pass || since.elapsed() >= PATIENCE {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        self.lost = Some((since, (wait * 2).min(BACK_OFF.1)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(pieces: &[&str]) -> Vec<(Option<String>, String)> {
        let mut parser = Parser::default();
        for piece in pieces {
            parser.push(piece.as_bytes()).unwrap();
        }
        parser
            .messages
            .into_iter()
            .map(|message| (message.id, message.data))
            .collect()
    }

    #[test]
    fn a_message_may_come_in_pieces_and_have_comments_around_it() {
        let got = messages(&[
            ": hello\n\nid: 4",
            "\nevent: vm.state\ndata: {\"a\":\ndata: 1}\n\n:\n\n",
        ]);
        assert_eq!(got, [(Some("4".into()), "{\"a\":\n1}".into())]);
    }

    #[test]
    fn a_message_without_data_only_tells_the_place() {
        assert_eq!(
            messages(&["id: 9\n\n"]),
            [(Some("9".into()), String::new())]
        );
    }

    #[test]
    fn a_message_without_an_end_cannot_fill_the_memory() {
        let mut parser = Parser::default();
        assert!(parser.push(&vec![b'x'; MAX_MESSAGE + 1]).is_err());
    }
}
