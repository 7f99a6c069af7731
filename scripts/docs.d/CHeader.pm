# scripts/docs.d/CHeader.pm - the C interface as its header declares and describes it.
# SPDX-License-Identifier: MIT
package CHeader;

use strict;
use warnings;
use Exporter qw(import);
use File::Basename qw(dirname);

our @EXPORT_OK = qw(items_of read_header);

# Splits a paragraph at its lines that begin with a dash: (text, item...).
sub items_of {
  my ($lead, @items) = map { s/\s+/ /gr } split /(?:^|\n)- /, $_[0];
  return ($lead // '', @items);
}

sub refuse { die "man_pages: @_\n" }

sub content_of {
  open my $file, '<', $_[0] or refuse("cannot read $_[0]: $!");
  local $/;
  return scalar <$file>;
}

# Removes the stars of a comment.
sub plain { return ($_[0] // '') =~ s/^[ \t]*\*[ \t]?//mgr =~ s/\A\s+|\s+\z//gr }

# The members of a struct, or the values of an enum: [declaration, comment].
sub members_of {
  my ($body, $end) = @_;
  my @members;
  while ($body =~ m{\G\s*(?:/\*\*(?!<)(.*?)\*/\s*)?([^/$end]+)$end(?:\s*/\*\*<(.*?)\*/)?}sgc) {
    push @members, [$2, plain($1 // $3)];
    $members[-1][0] =~ s/\s+/ /g;
  }
  return \@members;
}

# Adds a function to `page`, or to a new page.
sub add_function {
  my ($api, $prototype, $comment, $page, $where) = @_;
  my ($returns, $name, $arguments) = $prototype =~ /^(.*?)\s*\b(passthru_\w+)\((.*)\)$/s
    or refuse("$where: this declaration is not understood: $prototype");
  if (!$page) {
    $comment ne '' or refuse("$where: $name has no comment");
    $comment =~ s/\s*^Since: ([\d.]+)$//m or refuse("$where: the comment of $name has no 'Since: VERSION'");
    $page = {since => $1, comment => $comment, functions => []};
    push @{ $api->{groups}[-1]{pages} }, $page;
  }
  my @arguments = split /, /, $arguments =~ s/\s+/ /gr;
  push @{ $page->{functions} }, {name => $name, returns => $returns, arguments => \@arguments};
  $page->{prototypes} .= "$prototype\n";
  return $page;
}

# Adds the declarations of a header. A header that it includes from its own directory is read in the include's place, once.
sub read_declarations {
  my ($api, $header) = @_;
  return if grep { $_ eq $header } @{ $api->{files} };
  push @{ $api->{files} }, $header;
  my $text = content_of($header);
  $text =~ m{\A/\*(.*?)\*/}s or refuse("$header: it does not begin with a comment");
  pos($text) = $+[0];
  (undef, $api->{title}, @{ $api->{rules} }) = split /\n{2,}/, plain($1) if !$api->{title};
  my ($comment, $last_page) = ('', undef);  # of the next declaration; of a function right before it
  while (pos($text) < length $text) {
    my $where = "$header:" . (1 + substr($text, 0, pos $text) =~ tr/\n//);
    next if $text =~ m{\G\s+}gc;
    if ($text =~ m{\G/\*\*(.*?)\*/}sgc) {
      $comment = plain($1);
      push @{ $api->{groups} }, {title => $1, pages => []} if $comment =~ s/^\@defgroup \w+ (.*)\n*//;
      $last_page = undef;
      next;
    }
    if ($text =~ m{\GPASSTHRU_API\s+([^;]*);}gc) {
      $last_page = add_function($api, $1, $comment, $comment eq '' ? $last_page : undef, $where);
    } elsif ($text =~ m{\G(struct|enum)(?: (\w+))? \{(.*?)\n\};}sgc) {
      my $type = {kind => $1, name => $2 // '', comment => $comment, body => $3};
      $type->{members} = members_of($type->{body}, $1 eq 'struct' ? ';' : ',');
      $_->[1] ne '' or refuse("$where: '$_->[0]' has no comment") for @{ $type->{members} };
      push @{ $api->{types} }, $type;
    } elsif ($text =~ m{\G\#include <passthru/(\w+\.h)>[^\n]*}gc) {
      read_declarations($api, dirname($header) . "/$1");
    } else {
      $text =~ m{\G[^\n]*\n?}gc;
      $last_page = undef;
    }
    $comment = '';
  }
}

# Returns the parts of a header and of those that it includes: its title and its paragraphs of rules; the groups, each
# with pages; the files. A page has the functions under one comment. Types are structs and enums, in their order.
sub read_header {
  my ($header) = @_;
  my $api = {rules => [], groups => [], types => [], files => []};
  read_declarations($api, $header);
  grep { @{ $_->{pages} } } @{ $api->{groups} } or refuse("$header: no function is declared PASSTHRU_API");
  my $version = content_of(dirname($header) . '/version.h');
  $api->{version} = join '.', map { $version =~ /VERSION_$_ (\d+)/ } qw(MAJOR MINOR PATCH);
  return $api;
}

1;
