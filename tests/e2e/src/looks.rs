//! Pictures of the page as it looks on a desk and on a phone.

use crate::browser::Browser;
use serde_json::json;
use std::time::Duration;

/// Takes a picture of the page in a window of this size, in pixels. Nothing may stick out of it, but for what matches `beyond`.
pub async fn picture(browser: &Browser, name: &str, (width, height): (u32, u32), beyond: &str) {
    let params = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    browser.cdp("Emulation.setDeviceMetricsOverride", params).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    browser.shot(name).await;
    let out = "const wide = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= wide) return [];
        return [...document.querySelectorAll('body *')].filter((it) => !it.matches(arguments[0]) &&
          it.getBoundingClientRect().right > wide + 1).map((it) => `${it.tagName}.${it.className}#${it.id}`);";
    assert_eq!(browser.run(out, vec![json!(beyond)]).await, json!([]), "{name}");
}

/// Gives the window its own size again.
pub async fn done(browser: &Browser) {
    browser.cdp("Emulation.clearDeviceMetricsOverride", json!({})).await;
}
