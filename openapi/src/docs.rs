//! `/docs`: the document for people to read and to try. Everything that the page needs is in it; it works without the Internet.

use poem::{Body, IntoResponse, Response};

/// What the page may do: its own script and style are in it, it asks this server alone, and nothing else is fetched.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; \
                      font-src data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The end of the framework's page, where the viewer is set up.
const SET_UP: &str = "    let spec = ";

/// Makes the page from the framework's: it shall ask for the document that is current instead of carrying one.
pub(crate) fn page(framework: &str) -> Option<String> {
    let (viewer, _) = framework.rsplit_once(SET_UP)?;
    let viewer = viewer.replacen("<html charset=\"UTF-8\">", "<!doctype html>\n<html lang=\"en\">", 1);
    let viewer = viewer.replacen("<title>Swagger UI</title>", "<title>Potok API</title>", 1);
    Some(format!(
        "{viewer}    SwaggerUIBundle({{ dom_id: '#ui', url: 'openapi.json', deepLinking: true, validatorUrl: null }})\n\
         </script>\n\n</body>\n</html>\n"
    ))
}

/// The page as a response.
pub(crate) fn respond(page: &bytes::Bytes) -> Response {
    let body = Body::from_bytes(page.clone()).with_content_type("text/html; charset=utf-8");
    body.with_header("content-security-policy", POLICY).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_page_asks_for_the_current_document_and_for_nothing_else() {
        #[derive(Clone)]
        struct Nothing;
        #[poem_openapi::OpenApi]
        impl Nothing {}
        let framework = poem_openapi::OpenApiService::new(Nothing, "t", "1").swagger_ui_html();
        let page = page(&framework).unwrap();
        assert!(page.starts_with("\n<!doctype html>"));
        assert!(page.ends_with("</html>\n") && page.contains("url: 'openapi.json'"));
        for outside in ["<script src", "<link", "@import", "unpkg.com", "cdn."] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
