// Starts Swagger UI on this server's own document. A pasted API key gets its scheme word; nothing is kept in the browser.
"use strict";

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
  requestInterceptor: (request) => {
    const given = request.headers && request.headers.Authorization;
    if (given && given.startsWith("sk-")) {
      request.headers.Authorization = `ApiKey ${given}`;
    }
    return request;
  },
});
