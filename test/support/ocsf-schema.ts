/** The members that OCSF 1.8.0 requires of our classes, and the constraints between them, written from its documentation. */
import { z } from 'zod'

const epochMs = z.int().min(1_600_000_000_000).max(4_000_000_000_000)
const metadata = z.object({
  version: z.literal('1.8.0'),
  product: z.object({ name: z.string().min(1), vendor_name: z.string().min(1), version: z.string() }),
  uid: z.string().min(1),
  event_code: z.string().regex(/^[a-z_]+\.[a-z_]+\.[a-z_]+$/),
  log_name: z.string(),
  correlation_uid: z.string().optional(),
})
const user = z
  .object({
    uid: z.string().min(1).optional(),
    name: z.string().min(1).optional(),
    type_id: z.union([z.literal([0, 1, 2, 4, 99])]),
    type: z.string(),
  })
  .loose()
  .refine(({ uid, name }) => uid !== undefined || name !== undefined, 'user: at least one of uid, name')
const base = {
  category_uid: z.literal(3),
  severity_id: z.int().min(1).max(5),
  severity: z.string(),
  time: epochMs,
  metadata,
  status_id: z.literal([1, 2]),
  status: z.literal(['Success', 'Failure']),
  status_code: z.string().regex(/^[a-z_]+$/),
  status_detail: z.string(),
  unmapped: z.record(z.string(), z.unknown()),
}

export const Authentication = z
  .object({
    ...base,
    class_uid: z.literal(3002),
    activity_id: z.literal(1),
    type_uid: z.literal(300201),
    user,
    service: z.object({ name: z.string() }),
    auth_protocol_id: z.literal(99),
    auth_protocol: z.literal(['FIDO2/WebAuthn', 'NATS password', 'NATS token', 'NATS nkey']),
    duration: z.int().min(0),
    count: z.int().min(2).optional(),
    start_time: epochMs.optional(),
    end_time: epochMs.optional(),
    src_endpoint: z.object({ ip: z.string().optional(), hostname: z.string().optional(), name: z.string().optional() }).optional(),
    dst_endpoint: z.object({ uid: z.string(), name: z.string(), svc_name: z.string() }).optional(),
    auth_factors: z
      .array(
        z.object({
          factor_type_id: z.literal([10, 99]),
          factor_type: z.string(),
          device: z.object({ type_id: z.int(), uid: z.string() }).loose(),
        }),
      )
      .optional(),
    is_mfa: z.boolean().optional(),
    session: z.object({ uid: z.string(), is_remote: z.boolean(), expiration_time: epochMs.optional() }).optional(),
  })
  .loose()
  .refine(({ activity_id, class_uid, type_uid }) => type_uid === class_uid * 100 + activity_id, 'type_uid')

const loginProtocols = { 0: ['Unknown'], 4: ['OpenID'], 99: ['FIDO2/WebAuthn', 'One-time invitation', 'Login cookie'] }

/** A person's login: Logon or Logoff, by one of the ways there are. */
export const LoginAuthentication = z
  .object({
    ...base,
    class_uid: z.literal(3002),
    activity_id: z.literal([1, 2]),
    activity_name: z.literal(['Logon', 'Logoff']),
    type_uid: z.literal([300_201, 300_202]),
    user,
    actor: z.union([z.object({ user }), z.object({ app_name: z.string(), app_uid: z.string() })]),
    service: z.object({ name: z.literal('nats-webauthn') }),
    auth_protocol_id: z.literal([0, 4, 99]),
    auth_protocol: z.string(),
    count: z.int().min(2).optional(),
    src_endpoint: z.object({ ip: z.string().optional(), hostname: z.string().optional() }).optional(),
    auth_factors: z
      .array(z.object({ factor_type_id: z.literal(10), device: z.object({ type_id: z.int(), uid: z.string().min(1) }).loose() }).loose())
      .optional(),
    is_mfa: z.boolean().optional(),
  })
  .loose()
  .refine(({ activity_id, class_uid, type_uid }) => type_uid === class_uid * 100 + activity_id, 'type_uid')
  .refine(({ auth_protocol_id, auth_protocol }) => loginProtocols[auth_protocol_id].includes(auth_protocol), 'auth_protocol')

export const EntityManagement = z
  .object({
    ...base,
    class_uid: z.literal(3004),
    activity_id: z.int(),
    type_uid: z.int(),
    entity: z.object({ uid: z.string().min(1), type: z.string(), name: z.string().optional() }),
    actor: z.union([z.object({ user }), z.object({ app_name: z.string(), app_uid: z.string() })]),
  })
  .loose()
  .refine(({ activity_id, class_uid, type_uid }) => type_uid === class_uid * 100 + activity_id, 'type_uid')
