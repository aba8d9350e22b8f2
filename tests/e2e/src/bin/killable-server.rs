//! `killable-server DIR ADDR`: the server as a process that a test can kill. It says where it
//! listens.

use dikas_server::{Config, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(data), Some(listen)) = (arguments.next(), arguments.next()) else {
        return Err("usage: killable-server DIR ADDR".into());
    };
    let server = Server::start(Config { listen, ..Config::new(data) }).await?;
    println!("http://{}", server.address());
    std::future::pending().await
}
