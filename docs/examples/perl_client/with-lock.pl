#!/usr/bin/env perl
# with-lock.pl NAME COMMAND [ARGUMENT]...: waits for the lease on NAME, runs the command while it is held, and exits as that does.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Lockd;

sub quit { my ($code, $message) = @_; print STDERR $message; exit $code }

@ARGV >= 2 or quit(64, "usage: with-lock.pl NAME COMMAND [ARGUMENT]...\n");
my $name = shift @ARGV;
my $lockd = eval { Lockd->new } or quit(69, $@);
my $token = eval { $lockd->acquire($name) } or quit(69, $@);
$ENV{LOCKD_TOKEN} = $token;
my $status = system { $ARGV[0] } @ARGV;
my $error = $!;
$lockd->release($token) or quit(76, "with-lock.pl: the lease was lost while the command ran\n");
quit(127, "with-lock.pl: $ARGV[0]: $error\n") if $status == -1;
exit($status & 127 ? 128 + ($status & 127) : $status >> 8);
