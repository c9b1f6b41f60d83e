//! What stands around every page.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use slhf_report::escape;

use crate::site::{Link, View};

/// What a browser may do with a page: load our own style and script, talk to us, and nothing else.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The style of every page: the report's, and what a page in a window has besides.
pub(crate) fn style() -> String {
    format!("{}{}", slhf_report::STYLE, include_str!("ui.css"))
}

/// What makes pages live.
pub(crate) const SCRIPT: &str = include_str!("ui.js");

/// The whole page.
pub(crate) fn page(view: &View, links: &[Link], path: &str, version: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (escape::line(&view.title)) " · slhf-lab" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="data:,";
                script src="/ui.js" defer {}
            }
            body data-version=(version) {
                a class="skip" href="#content" { "Skip to the content" }
                header class="bar" {
                    nav aria-label="Views" {
                        @for link in links {
                            a href=(link.path) aria-current=[(path == link.path).then_some("page")] { (link.title) }
                        }
                    }
                    p id="live" role="status" class="live" {}
                }
                main id="content" tabindex="-1" {
                    h1 { (escape::line(&view.title)) }
                    (view.body)
                }
                footer { p { "Keys: " kbd { "/" } " filter, " kbd { "j" } " and " kbd { "k" } " next and previous row, " kbd { "Enter" } " open, " kbd { "u" } " up." } }
            }
        }
    }
}

/// Shown to a browser that has not brought the token: the script takes it from the address and trades it for a cookie.
pub(crate) fn door() -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "slhf-lab" }
                link rel="stylesheet" href="/style.css";
                script src="/ui.js" defer {}
            }
            body data-door="yes" {
                main { h1 { "slhf-lab" } p id="door" { "Open the address that `slhf-lab ui` printed: its end holds the token." } noscript { p { "The token is taken from the address by JavaScript." } } }
            }
        }
    }
}

/// A sentence on a page of its own.
pub(crate) fn sentence(title: &str, sentence: &str) -> View {
    View {
        title: title.to_owned(),
        body: html! { p { (escape::lines(sentence)) } p { a href="/" { "To the experiments" } } },
    }
}

/// Text that is markup already.
pub(crate) fn text(markup: Markup) -> String {
    let PreEscaped(text) = markup;
    text
}
