# The verifier: no shell scripts, no development dependencies, nobody's root.
FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json ./
RUN npm ci --ignore-scripts
COPY src ./src
COPY scripts/build-page.ts ./scripts/
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:22-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# What `init` copies.
COPY nats-server.conf docker-compose.yml ./
COPY deploy ./deploy
USER 65532:65532
WORKDIR /deployment
# Much of what a connection leaves behind is garbage at once: room for it saves collecting (docs/operations.md).
ENTRYPOINT ["node", "--min-semi-space-size=16", "--max-semi-space-size=32", "/app/dist/cli/main.js"]
CMD ["serve"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "/app/dist/cli/main.js", "healthcheck"]
