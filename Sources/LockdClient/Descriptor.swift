/// A descriptor of this process, closed when nothing refers to it any more.
final class Descriptor: Sendable, Equatable {
    let number: CInt

    /// Takes over `number`.
    init(owning number: CInt) { self.number = number }

    deinit { System.close(number) }

    static func == (left: Descriptor, right: Descriptor) -> Bool { left === right }
}
