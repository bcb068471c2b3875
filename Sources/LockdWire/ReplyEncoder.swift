public import LockdModel

/// Writes reply lines, with their fields in the order of `docs/protocol.md`.
public enum ReplyEncoder {
    /// Appends the line of `reply`, its LF included, to `bytes`.
    public static func encode(_ reply: TaggedReply, to bytes: inout [UInt8]) {
        encode(reply.reply, tag: reply.tag, to: &bytes)
    }

    /// Appends the line of `reply` under `tag`, its LF included, to `bytes`.
    public static func encode(_ reply: Reply, tag: Tag?, to bytes: inout [UInt8]) {
        if let tag {
            bytes.write(tag)
            bytes.write(" ")
        }
        write(reply, to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
    }

    private static func write(_ reply: Reply, to bytes: inout [UInt8]) {
        switch reply {
        case .welcome(let welcome): write(welcome, to: &bytes)
        case .granted(let name, let token, let timeToLive):
            write("GRANTED ", name, token, timeToLive, to: &bytes)
        case .held(let name, let token, let timeToLive):
            write("HELD ", name, token, timeToLive, to: &bytes)
        case .busy(let name, let holder, let waiterCount):
            write("BUSY ", name, to: &bytes)
            write(holder, waiterCount: waiterCount, to: &bytes)
        case .timedOut(let name, let waited, let holder, let waiterCount):
            write("TIMEOUT ", name, to: &bytes)
            bytes.writeField(" waited=", measured: waited)
            write(holder, waiterCount: waiterCount, to: &bytes)
        case .cancelled(let name, let waited):
            write("CANCELLED ", name, to: &bytes)
            bytes.writeField(" waited=", measured: waited)
        case .released(let name, let token): write("RELEASED ", name, token, nil, to: &bytes)
        case .renewed(let name, let token, let timeToLive):
            write("RENEWED ", name, token, timeToLive, to: &bytes)
        case .notHeld(let name): write("NOTHELD ", name, to: &bytes)
        case .waitCancelled(let tag):
            bytes.write("CANCELLED ")
            bytes.write(tag)
        case .notWaiting(let tag):
            bytes.write("NOTWAITING ")
            bytes.write(tag)
        case .lease(let line): write(line, to: &bytes)
        case .waiter(let line): write(line, to: &bytes)
        case .end(let next):
            bytes.write("END")
            if let next {
                bytes.write(" next=")
                bytes.write(next)
            }
        case .revoked(let name, let token): write("REVOKED ", name, token, nil, to: &bytes)
        case .denied(let name, let token, let holder):
            write("DENIED ", name, token, nil, to: &bytes)
            bytes.writeField(" uid=", UInt64(holder.value))
        case .statistic(let key, let value):
            bytes.write("STAT ")
            bytes.write(key)
            bytes.write("=")
            bytes.write(value)
        case .pong: bytes.write("PONG")
        case .bye: bytes.write("BYE")
        case .error(let error): write(error, to: &bytes)
        case .lost(let name, let token, let reason): write(lost: name, token, reason, to: &bytes)
        }
    }

    private static func write(_ verb: StaticString, _ name: LockName, to bytes: inout [UInt8]) {
        bytes.write(verb)
        bytes.write(name)
    }

    private static func write(
        _ verb: StaticString,
        _ name: LockName,
        _ token: FencingToken,
        _ timeToLive: Milliseconds?,
        to bytes: inout [UInt8]
    ) {
        write(verb, name, to: &bytes)
        bytes.writeField(" token=", token.value)
        bytes.writeField(" ttl=", given: timeToLive)
    }

    private static func write(_ holder: Reply.Holder?, waiterCount: Int, to bytes: inout [UInt8]) {
        if let holder {
            bytes.writeField(" holder-pid=", holder.peer.process)
            bytes.writeField(" holder-uid=", holder.peer.user)
            bytes.writeField(" holder-command=", holder.peer.command)
            bytes.writeField(" holder-session=", holder.peer.session?.value)
            bytes.writeField(" held=", measured: holder.held)
        }
        bytes.writeField(" waiters=", UInt64(waiterCount))
    }

    private static func write(_ welcome: Reply.Welcome, to bytes: inout [UInt8]) {
        bytes.write("WELCOME lockd=")
        bytes.write(welcome.daemonVersion)
        bytes.writeField(" v=", welcome.version)
        bytes.writeField(" session=", welcome.session.value)
        bytes.writeField(" pid=", welcome.process)
        bytes.write(" features=")
        bytes.write(welcome.features.joined(separator: ","))
        bytes.writeField(" line=", UInt64(welcome.lineByteCount))
        bytes.writeField(" name=", UInt64(welcome.nameByteCount))
    }

    private static func write(_ line: Reply.LeaseLine, to bytes: inout [UInt8]) {
        write("LEASE ", line.name, line.token, nil, to: &bytes)
        write(line.peer, to: &bytes)
        bytes.writeField(" client=", line.client)
        bytes.writeField(" held=", measured: line.held)
        bytes.writeField(" ttl=", given: line.timeToLive)
        bytes.writeField(" left=", measured: line.left)
        bytes.writeField(" owner=", line.owner)
        bytes.writeField(" note=", line.note)
        bytes.writeField(" waiters=", UInt64(line.waiterCount))
    }

    private static func write(_ line: Reply.WaiterLine, to bytes: inout [UInt8]) {
        write("WAITER ", line.name, to: &bytes)
        bytes.writeField(" position=", UInt64(line.position))
        write(line.peer, to: &bytes)
        bytes.writeField(" client=", line.client)
        bytes.writeField(" waited=", measured: line.waited)
        bytes.writeField(" left=", measured: line.left)
        bytes.writeField(" ttl=", given: line.timeToLive)
        bytes.writeField(" owner=", line.owner)
        bytes.writeField(" note=", line.note)
    }

    private static func write(_ peer: Reply.Peer, to bytes: inout [UInt8]) {
        bytes.writeField(" session=", peer.session?.value)
        bytes.writeField(" pid=", peer.process)
        bytes.writeField(" uid=", peer.user)
        bytes.writeField(" command=", peer.command)
    }

    private static func write(_ error: WireError, to bytes: inout [UInt8]) {
        bytes.write("ERROR ")
        bytes.write(error.code.rawValue)
        bytes.writeField(" key=", error.key)
        bytes.writeField(" got=", error.got)
        if let want = error.want {
            bytes.write(" want=")
            bytes.write(want)
        }
        bytes.writeField(" limit=", error.limit.map(UInt64.init))
        if let scope = error.scope {
            bytes.write(" scope=")
            bytes.write(scope.rawValue)
        }
    }

    private static func write(
        lost name: LockName,
        _ token: FencingToken,
        _ reason: Reply.LossReason,
        to bytes: inout [UInt8]
    ) {
        write("* LOST ", name, token, nil, to: &bytes)
        switch reason {
        case .expired: bytes.write(" reason=expired")
        case .revoked(let user, let process, let why):
            bytes.write(" reason=revoked")
            bytes.writeField(" by-uid=", user)
            bytes.writeField(" by-pid=", process)
            bytes.writeField(" why=", why)
        case .other(let reason): bytes.writeField(" reason=", reason)
        }
    }
}
