/// Keeps descriptors for the next daemon, whatever becomes of this one: systemd does.
///
/// Nothing here blocks; what cannot be done at once is done later, in the order of the calls.
public protocol DescriptorStore: AnyObject {
    /// Keeps copies of descriptors, and hands them to the next daemon under this name. They are never looked into.
    func store(_ descriptors: [CInt], as name: String)
    /// Gives up all that is kept under a name.
    func remove(_ name: String)
    /// A descriptor that becomes readable when everything that was asked for before is done, or will not be; the caller closes it. Nothing if there is no descriptor to be
    /// had for that.
    func barrier() -> CInt?
}
