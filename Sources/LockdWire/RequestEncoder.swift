import LockdModel

/// Writes request lines.
public enum RequestEncoder {
    /// Appends the line of `request`, its LF included, to `bytes`.
    ///
    /// The values are valid by their types, and no request is as long as a line may be. A duration has to be within
    /// what the protocol can ask for, ``LockdModel/Milliseconds/maximum``; the daemon refuses it otherwise.
    public static func encode(_ request: TaggedRequest, to bytes: inout [UInt8]) {
        if let tag = request.tag {
            bytes.write(tag)
            bytes.write(" ")
        }
        write(request.request, to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
    }

    private static func write(_ request: Request, to bytes: inout [UInt8]) {
        switch request {
        case .hello(let hello):
            bytes.write("HELLO")
            bytes.writeField(" v=", hello.version)
            bytes.writeField(" client=", hello.client)
        case .acquire(let acquire): write(acquire, to: &bytes)
        case .release(let name, let token):
            bytes.write("RELEASE ")
            bytes.write(name)
            bytes.writeField(" token=", token?.value)
        case .renew(let name, let token, let timeToLive):
            bytes.write("RENEW ")
            bytes.write(name)
            bytes.writeField(" token=", token?.value)
            bytes.writeField(" ttl=", given: timeToLive)
        case .cancel(let tag):
            bytes.write("CANCEL ")
            bytes.write(tag)
        case .show(let name, let page):
            bytes.write("SHOW ")
            bytes.write(name)
            write(page, to: &bytes)
        case .list(let prefix, let page):
            bytes.write("LIST")
            if let prefix {
                bytes.write(" ")
                bytes.write(prefix)
            }
            write(page, to: &bytes)
        case .revoke(let name, let token, let reason):
            bytes.write("REVOKE ")
            bytes.write(name)
            bytes.writeField(" token=", token?.value)
            bytes.writeField(" reason=", reason)
        case .stats: bytes.write("STATS")
        case .ping: bytes.write("PING")
        case .quit: bytes.write("QUIT")
        }
    }

    private static func write(_ acquire: Request.Acquire, to bytes: inout [UInt8]) {
        bytes.write("ACQUIRE ")
        bytes.write(acquire.name)
        switch acquire.wait {
        case .none: bytes.write(" wait=0")
        case .after(let duration): bytes.writeField(" wait=", given: duration)
        case .never: break
        }
        bytes.writeField(" ttl=", given: acquire.timeToLive)
        bytes.writeField(" owner=", acquire.owner)
        bytes.writeField(" note=", acquire.note)
    }

    private static func write(_ page: Request.Page, to bytes: inout [UInt8]) {
        if let after = page.after {
            bytes.write(" after=")
            bytes.write(after)
        }
        bytes.writeField(" limit=", page.lineLimit.map(UInt64.init))
    }
}
