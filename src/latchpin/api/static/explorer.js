// Starts Swagger UI on this server's own document. A pasted API key gets its scheme word; nothing is kept in the browser.
"use strict";

// Who is signed in to the Control Center tries requests with a short-lived access token of that session, fetched when it is needed.
const signedIn = { token: "", until: 0 };

async function sessionToken() {
  if (Date.now() < signedIn.until) {
    return signedIn.token;
  }
  const answer = await fetch("/session/token", { method: "POST", redirect: "manual" });
  const made = answer.ok ? await answer.json() : { access_token: "", expires_in: 60 };
  signedIn.token = made.access_token;
  signedIn.until = Date.now() + (made.expires_in - 30) * 1000;
  return signedIn.token;
}

window.ui = SwaggerUIBundle({
  url: "/api-docs/openapi.json",
  dom_id: "#explorer",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  tryItOutEnabled: true,
  requestInterceptor: async (request) => {
    const given = request.headers && request.headers.Authorization;
    if (given && given.startsWith("sk-")) {
      request.headers.Authorization = `ApiKey ${given}`;
    } else if (!given && new URL(request.url, location.href).pathname.startsWith("/api/v1/")) {
      const token = await sessionToken();
      // Administration is for the session itself, which the browser sends with its cookie.
      if (token && !request.url.includes("/api/v1/admin/")) {
        request.headers.Authorization = `Bearer ${token}`;
      }
    }
    return request;
  },
});
